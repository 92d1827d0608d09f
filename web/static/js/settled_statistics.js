/**
 * Statistics of large areas, worked out when they rest: in small pieces of time, so that the hand that
 * draws them is never held up. What is not worked out yet is not shown.
 */

import { AreaStatistics } from "./area_statistics.js";
import { pointsOf } from "./mark_kinds.js";

/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./area_statistics.js").Statistics} Statistics */

/** Smaller areas are worked out in a moment. */
const LARGE_PIXELS = 1 << 17;
const REST_MS = 150;
const PIECE_MS = 8;

export class SettledStatistics {
  /** @param {(mark: Mark) => void} onReady the statistics of a mark can be asked for now */
  constructor(onReady) {
    this.onReady = onReady;
    /** @type {WeakMap<Mark, {frame: any, statistics: Statistics}>} marks are never changed, only replaced */
    this.known = new WeakMap();
    /** @type {Map<string, {mark: Mark, frame: any, timer: any}>} by mark: the last that was asked for */
    this.asked = new Map();
  }

  /**
   * @param {Mark} mark an ellipse or a rectangle with all of its points
   * @param {any} frame with values
   * @returns {Statistics | null} null while they are being worked out
   */
  of(mark, frame) {
    const known = this.known.get(mark);
    if (known && known.frame === frame) return known.statistics;
    const work = workOn(mark, frame);
    if (!isLarge(mark)) {
      work.goOn(() => false);
      return work.result();
    }
    this.begin(mark, frame, work);
    return null;
  }

  /**
   * @param {Mark} mark
   * @param {any} frame
   * @param {AreaStatistics} work
   */
  begin(mark, frame, work) {
    const before = this.asked.get(mark.mark_id);
    if (before && before.mark === mark && before.frame === frame) return;
    if (before) clearTimeout(before.timer);
    const asked = { mark, frame, timer: /** @type {any} */ (0) };
    this.asked.set(mark.mark_id, asked);
    const piece = () => {
      const end = performance.now() + PIECE_MS;
      if (!work.goOn(() => performance.now() > end)) asked.timer = setTimeout(piece, 0);
      else this.finish(mark, frame, work.result());
    };
    asked.timer = setTimeout(piece, REST_MS);
  }

  /**
   * @param {Mark} mark
   * @param {any} frame
   * @param {Statistics} statistics
   */
  finish(mark, frame, statistics) {
    this.asked.delete(mark.mark_id);
    this.known.set(mark, { frame, statistics });
    this.onReady(mark);
  }
}

/**
 * @param {Mark} mark
 * @param {any} frame
 * @returns {AreaStatistics}
 */
function workOn(mark, frame) {
  const [a, b] = pointsOf(mark);
  return new AreaStatistics(frame, mark.kind, a, b);
}

/**
 * @param {Mark} mark
 * @returns {boolean}
 */
function isLarge(mark) {
  const [a, b] = pointsOf(mark);
  return Math.abs(b.x - a.x) * Math.abs(b.y - a.y) > LARGE_PIXELS;
}
