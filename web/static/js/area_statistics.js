/**
 * Statistics of the values in an area of a frame. They are worked out row by row, so that those of a
 * large area can be interrupted while something moves on the screen. Numbers and arrays only, no page.
 */

import { modalityValue } from "./windowing.js";

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{info: any, pixels: ArrayLike<number>}} Frame */
/**
 * @typedef {object} Statistics of modality values, padding and what is not finite left out
 * @property {number} count pixels that were counted
 * @property {number} padding pixels of the area that were left out
 * @property {boolean} isClipped whether part of the area lies outside the frame
 * @property {Channel[]} channels one, or red, green and blue; empty when no pixel was counted
 * @typedef {{mean: number, sd: number, min: number, max: number}} Channel `sd` is that of the
 *   pixels themselves, not an estimate from a sample (divided by n)
 */

/**
 * Return the statistics of an area: of all pixels whose centre lies in it or on its edge.
 * @param {Frame} frame
 * @param {string} kind `ellipse` or `rectangle`
 * @param {Point} a
 * @param {Point} b
 * @returns {Statistics}
 */
export function statisticsOf(frame, kind, a, b) {
  const work = new AreaStatistics(frame, kind, a, b);
  work.goOn(() => false);
  return work.result();
}

/** The work on one area; it goes over the rows twice, for the deviation needs the mean. */
export class AreaStatistics {
  /**
   * @param {Frame} frame
   * @param {string} kind
   * @param {Point} a
   * @param {Point} b
   */
  constructor(frame, kind, a, b) {
    this.frame = frame;
    this.area = areaBetween(frame.info, kind, a, b);
    this.row = this.area.rows[0];
    this.isSecond = false;
    this.count = 0;
    this.padding = 0;
    const channels = frame.info.kind === "colour" ? 3 : 1;
    this.sums = Array.from({ length: channels }, () => ({ sum: 0, mean: NaN, squares: 0, min: Infinity, max: -Infinity }));
  }

  /**
   * @param {() => boolean} isEnough asked after each row
   * @returns {boolean} whether all is done
   */
  goOn(isEnough) {
    while (this.hasNext()) {
      this.oneRow(this.row);
      this.row += 1;
      if (isEnough()) break;
    }
    return !this.hasNext();
  }

  /** @returns {boolean} whether a row is left; behind the last one it begins again, once */
  hasNext() {
    const [first, last] = this.area.rows;
    if (this.row > last && !this.isSecond) {
      for (const sums of this.sums) sums.mean = sums.sum / this.count;
      this.isSecond = true;
      this.row = first;
    }
    return this.row <= last;
  }

  /** @param {number} row */
  oneRow(row) {
    const [first, last] = columnsIn(this.area, row);
    const start = row * this.frame.info.columns;
    if (this.isSecond) this.addSquares(start + first, start + last);
    else this.addValues(start + first, start + last);
  }

  /**
   * @param {number} from place in the frame
   * @param {number} to included
   */
  addValues(from, to) {
    const isGrey = this.sums.length === 1;
    for (let place = from; place <= to; place += 1) {
      if (isGrey && !isCounted(this.frame, place)) {
        this.padding += 1;
        continue;
      }
      this.count += 1;
      for (let channel = 0; channel < this.sums.length; channel += 1) enter(this.sums[channel], valueAt(this.frame, place, channel));
    }
  }

  /**
   * @param {number} from
   * @param {number} to included
   */
  addSquares(from, to) {
    const isGrey = this.sums.length === 1;
    for (let place = from; place <= to; place += 1) {
      if (isGrey && !isCounted(this.frame, place)) continue;
      for (let channel = 0; channel < this.sums.length; channel += 1) {
        const sums = this.sums[channel];
        sums.squares += (valueAt(this.frame, place, channel) - sums.mean) ** 2;
      }
    }
  }

  /** @returns {Statistics} once all is done */
  result() {
    const { count, padding } = this;
    const channels = this.sums.map(({ mean, squares, min, max }) => ({ mean, sd: Math.sqrt(squares / count), min, max }));
    return { count, padding, isClipped: this.area.isClipped, channels: count ? channels : [] };
  }
}

/**
 * @param {{sum: number, min: number, max: number}} sums
 * @param {number} value
 */
function enter(sums, value) {
  sums.sum += value;
  if (value < sums.min) sums.min = value;
  if (value > sums.max) sums.max = value;
}

/**
 * @typedef {object} Area
 * @property {boolean} isEllipse
 * @property {[number, number]} rows first and last with a centre between its upper and lower end
 * @property {[number, number]} columns the same of columns
 * @property {Point} middle
 * @property {Point} half
 * @property {boolean} isClipped whether part of it lies outside the frame
 */

/**
 * @param {any} info
 * @param {string} kind
 * @param {Point} a
 * @param {Point} b
 * @returns {Area}
 */
function areaBetween(info, kind, a, b) {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  return {
    isEllipse: kind === "ellipse",
    rows: whole(top, bottom, info.rows),
    columns: whole(left, right, info.columns),
    middle: { x: (left + right) / 2, y: (top + bottom) / 2 },
    half: { x: (right - left) / 2, y: (bottom - top) / 2 },
    isClipped: left < 0 || top < 0 || right > info.columns || bottom > info.rows,
  };
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} length
 * @returns {[number, number]}
 */
function whole(low, high, length) {
  return [Math.max(0, Math.ceil(low - 0.5)), Math.min(length - 1, Math.floor(high - 0.5))];
}

/**
 * Return the columns of a row whose centres lie in an area or on its edge.
 * @param {Area} area
 * @param {number} row
 * @returns {[number, number]} first and last; the last is before the first when there is none
 */
function columnsIn({ isEllipse, columns: [first, last], middle, half }, row) {
  if (!isEllipse) return [first, last];
  const v = (row + 0.5 - middle.y) / half.y;
  if (!(v * v <= 1)) return [0, -1];
  const isIn = (/** @type {number} */ column) => {
    const u = (column + 0.5 - middle.x) / half.x;
    return u * u + v * v <= 1;
  };
  // near the edge each pixel is asked, further in all are inside
  const reach = half.x * Math.sqrt(1 - v * v);
  let from = Math.max(first, Math.ceil(middle.x - reach - 0.5) - 1);
  let to = Math.min(last, Math.floor(middle.x + reach - 0.5) + 1);
  while (from <= to && !isIn(from)) from += 1;
  while (from <= to && !isIn(to)) to -= 1;
  return [from, to];
}

/**
 * @param {Frame} frame
 * @param {number} place of a pixel in it
 * @returns {boolean} whether it is a value, and no padding
 */
export function isCounted({ info, pixels }, place) {
  const stored = pixels[place];
  const { pixel_padding } = info;
  if (pixel_padding && stored >= pixel_padding[0] && stored <= pixel_padding[1]) return false;
  return Number.isFinite(stored);
}

/**
 * @param {Frame} frame
 * @param {number} place
 * @param {number} channel
 * @returns {number}
 */
export function valueAt({ info, pixels }, place, channel) {
  return info.kind === "colour" ? pixels[3 * place + channel] : modalityValue(info.modality, pixels[place]);
}
