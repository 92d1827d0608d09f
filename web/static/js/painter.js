/** From stored values to a canvas of grey levels or colours: the whole frame, or what is seen of it. */

import { paintCoverings } from "./coverings.js";
import { paintColour, paintGrey } from "./windowing.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */
/**
 * @typedef {object} Painted
 * @property {CanvasImageSource & {width: number, height: number}} source
 * @property {number} x of its first pixel in the frame
 * @property {number} y
 * @property {number} step frame pixels on one of its own
 */

export class Painter {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.image = /** @type {ImageData | null} */ (null);
    this.key = /** @type {any[]} */ ([]);
    /** @type {Painted | null} */
    this.painted = null;
  }

  /**
   * Window a whole frame, one pixel for one; what is painted already is not painted again.
   * @param {Frame} frame
   * @param {Voi | null} voi null for colour
   * @param {boolean} isInverted
   * @returns {Painted}
   */
  whole(frame, voi, isInverted) {
    const key = [frame, voi, isInverted];
    if (this.painted && key.every((part, at) => part === this.key[at])) return this.painted;
    this.key = key;
    this.paint(frame.pixels, frame.info, voi, isInverted);
    this.painted = { source: this.canvas, x: 0, y: 0, step: 1 };
    return this.painted;
  }

  /** @param {any} pixels @param {any} info @param {Voi | null} voi @param {boolean} isInverted */
  paint(pixels, info, voi, isInverted) {
    if (!this.image || this.image.width !== info.columns || this.image.height !== info.rows) {
      this.canvas.width = info.columns;
      this.canvas.height = info.rows;
      this.image = new ImageData(info.columns, info.rows);
    }
    const rgba = new Uint32Array(this.image.data.buffer);
    if (info.kind === "colour") paintColour(pixels, isInverted, rgba);
    else paintGrey(pixels, info, /** @type {Voi} */ (voi), isInverted, rgba);
    paintCoverings(pixels, info, rgba);
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
    context.putImageData(this.image, 0, 0);
  }
}
