/** From stored values to a canvas of grey levels or colours: the whole frame, or what is seen of it. */

import { paintCoverings } from "./coverings.js";
import { reduced } from "./reduce.js";
import { greyPainter, paintColour } from "./windowing.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {import("./reduce.js").Part} Part */
/**
 * @typedef {object} Painted
 * @property {HTMLCanvasElement | ImageBitmap} source
 * @property {Part} part of the frame that it shows, in pixels
 */

/** Frames of fewer pixels are windowed whole in a moment. */
const SMALL_PIXELS = 1 << 20;
/** As many are painted at once: an image of all pixels of a large frame would take as much memory again. */
const BAND_PIXELS = SMALL_PIXELS;

export class Painter {
  constructor() {
    this.whole = new Sheet();
    this.moving = new Sheet();
    this.cut = /** @type {{key: any[], frame: {pixels: any, info: any, part: Part}} | null} */ (null);
  }

  /**
   * Window a whole frame, one pixel for one.
   * @param {Frame} frame
   * @param {Voi | null} voi null for colour
   * @param {boolean} isInverted
   * @returns {Painted}
   */
  exact(frame, voi, isInverted) {
    const source = this.whole.painted([frame, voi, isInverted], frame, voi, isInverted);
    return { source, part: wholeOf(frame.info) };
  }

  /**
   * Window what is seen of a frame, roughly where it is drawn small.
   * @param {Frame} frame
   * @param {Voi | null} voi null for colour
   * @param {boolean} isInverted
   * @param {{part: Part, step: number}} seen whole pixels, and how many of them may become one
   * @returns {Painted}
   */
  quick(frame, voi, isInverted, { part, step }) {
    const { rows, columns } = frame.info;
    const isHere = this.whole.isOf([frame, voi, isInverted]);
    if (isHere || rows * columns <= SMALL_PIXELS || !part.width || !part.height) return this.exact(frame, voi, isInverted);
    const key = [frame, step, part.x, part.y, part.width, part.height];
    if (!this.cut || !isSame(key, this.cut.key)) this.cut = { key, frame: reduced(frame.pixels, frame.info, part, step) };
    const cut = this.cut.frame;
    return { source: this.moving.painted([cut, voi, isInverted], cut, voi, isInverted), part: cut.part };
  }

  /**
   * Window what came reduced.
   * @param {import("./frames.js").Reduced} reduced
   * @param {Voi | null} voi
   * @param {boolean} isInverted
   * @returns {Painted}
   */
  reduced(reduced, voi, isInverted) {
    return { source: this.moving.painted([reduced, voi, isInverted], reduced, voi, isInverted), part: reduced.part };
  }

  /** Keep nothing of what was painted. */
  forget() {
    this.cut = null;
    this.whole.forget();
    this.moving.forget();
  }
}

/** A canvas as large as what is painted; what is painted already is not painted again. */
class Sheet {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.image = /** @type {ImageData | null} */ (null);
    this.key = /** @type {any[]} */ ([]);
  }

  /**
   * @param {any[]} key
   * @returns {boolean} whether that is what is on it
   */
  isOf(key) {
    return isSame(key, this.key);
  }

  /**
   * @param {any[]} key names what is to be painted
   * @param {{pixels: any, info: any}} frame
   * @param {Voi | null} voi
   * @param {boolean} isInverted
   * @returns {HTMLCanvasElement}
   */
  painted(key, { pixels, info }, voi, isInverted) {
    if (this.isOf(key)) return this.canvas;
    this.key = []; // what fails on the way is not on it
    this.size(info);
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
    const paint = bandPainter(info, voi, isInverted);
    const image = this.imageOf(info);
    const rgba = new Uint32Array(image.data.buffer);
    const { width, height } = image;
    for (let top = 0; top < info.rows; top += height) {
      const rows = Math.min(height, info.rows - top);
      paint(pixels, top * width, rgba.subarray(0, rows * width));
      context.putImageData(image, 0, top, 0, 0, width, rows);
    }
    this.key = key;
    return this.canvas;
  }

  /** Keep no pixel: a sheet takes four bytes for each, and those of a band. */
  forget() {
    this.key = [];
    this.image = null;
    this.canvas.width = 0;
    this.canvas.height = 0;
  }

  /** @param {{rows: number, columns: number}} info */
  size({ rows, columns }) {
    if (this.canvas.width === columns && this.canvas.height === rows) return;
    this.canvas.width = columns;
    this.canvas.height = rows;
  }

  /**
   * @param {{rows: number, columns: number}} info
   * @returns {ImageData} a band of whole rows
   */
  imageOf({ rows, columns }) {
    const height = Math.max(1, Math.min(rows, Math.floor(BAND_PIXELS / columns)));
    if (this.image && this.image.width === columns && this.image.height === height) return this.image;
    this.image = new ImageData(columns, height);
    return this.image;
  }
}

/**
 * @param {any} info
 * @param {Voi | null} voi
 * @param {boolean} isInverted
 * @returns {(pixels: any, first: number, rgba: Uint32Array) => void} paints as many pixels as it is given, from
 *   the first one
 */
function bandPainter(info, voi, isInverted) {
  const samples = info.kind === "colour" ? 3 : 1;
  const grey = info.kind === "colour" ? null : greyPainter(info, /** @type {Voi} */ (voi), isInverted);
  return (pixels, first, rgba) => {
    const stored = pixels.subarray(first * samples, (first + rgba.length) * samples);
    if (grey) grey(stored, rgba);
    else paintColour(stored, isInverted, rgba);
    paintCoverings(stored, info, rgba, first);
  };
}

/**
 * @param {any[]} one
 * @param {any[]} other
 * @returns {boolean}
 */
function isSame(one, other) {
  return one.length === other.length && one.every((part, at) => part === other[at]);
}

/**
 * @param {any} info
 * @returns {Part}
 */
export function wholeOf(info) {
  return { x: 0, y: 0, width: info.columns, height: info.rows };
}
