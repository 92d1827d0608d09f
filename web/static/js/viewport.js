/**
 * The canvas a frame is drawn on (Canvas 2D). It draws what it is given and remembers nothing of
 * what came before: pixels, banner and corner text of one picture come from one frame.
 *
 * `data-frame` names the frame that is on the canvas, `data-state` says whether it is `final`,
 * `loading`, `refused` or `empty`, and `data-left`, `data-top`, `data-zoom` say where its first
 * pixel lies, in device pixels. At a zoom of 1 every canvas pixel is one grey level of the frame.
 */

import { paintCoverings } from "./coverings.js";
import { paintColour, paintGrey } from "./windowing.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */

const LARGEST_ZOOM = 32;
const SMALLEST_ZOOM = 0.02;

export class Viewport {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.exact = document.createElement("canvas");
    this.image = /** @type {ImageData | null} */ (null);
    /** @type {Frame | null} */
    this.frame = null;
    /** @type {Voi | null} */
    this.voi = null;
    this.isInverted = false;
    /** null is "as large as fits" */
    this.zoom = /** @type {number | null} */ (null);
    this.pan = { x: 0, y: 0 };
    this.isMoving = false;
    this.isDue = false;
    this.onDrawn = () => {};
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  /** @returns {number} device pixels per CSS pixel */
  get ratio() {
    return window.devicePixelRatio || 1;
  }

  resize() {
    const width = Math.max(1, Math.round(this.canvas.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * this.ratio));
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.draw();
  }

  /**
   * Show a frame under a window.
   * @param {Frame} frame
   * @param {Voi | null} voi null for colour
   * @param {boolean} isInverted
   */
  show(frame, voi, isInverted) {
    const isSame = this.frame === frame && this.voi === voi && this.isInverted === isInverted;
    this.frame = frame;
    this.voi = voi;
    this.isInverted = isInverted;
    if (!isSame) this.paint();
    this.draw();
  }

  /** Window the whole frame into the exact picture, one pixel for one. */
  paint() {
    const { info, pixels } = /** @type {Frame} */ (this.frame);
    if (!this.image || this.image.width !== info.columns || this.image.height !== info.rows) {
      this.exact.width = info.columns;
      this.exact.height = info.rows;
      this.image = new ImageData(info.columns, info.rows);
    }
    const rgba = new Uint32Array(this.image.data.buffer);
    if (info.kind === "colour") paintColour(pixels, this.isInverted, rgba);
    else paintGrey(pixels, info, /** @type {Voi} */ (this.voi), this.isInverted, rgba);
    paintCoverings(pixels, info, rgba);
    const context = /** @type {CanvasRenderingContext2D} */ (this.exact.getContext("2d", { willReadFrequently: true }));
    context.putImageData(this.image, 0, 0);
  }

  /**
   * Show nothing.
   * @param {"loading" | "refused" | "empty"} state
   */
  clear(state) {
    this.frame = null;
    this.canvas.dataset.state = state;
    this.canvas.dataset.frame = "";
    this.black();
  }

  black() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draw soon; many changes within one refresh of the screen are drawn once. */
  draw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.drawNow();
    });
  }

  drawNow() {
    this.black();
    if (!this.frame) return;
    const { left, top, width, height, scale } = this.place();
    const isExact = width === this.exact.width && height === this.exact.height;
    this.context.imageSmoothingEnabled = !isExact;
    this.context.imageSmoothingQuality = this.isMoving ? "low" : "high";
    this.context.drawImage(this.exact, left, top, width, height);
    Object.assign(this.canvas.dataset, {
      frame: this.frame.slice.key,
      state: "final",
      left: String(left),
      top: String(top),
      zoom: String(scale),
    });
    this.onDrawn();
  }

  /** @returns {{x: number, y: number}} how a pixel is stretched so that its shape is right */
  shape() {
    const info = /** @type {Frame} */ (this.frame).info;
    const spacing = info.pixel_spacing;
    const tall = spacing && spacing.row && spacing.column ? spacing.row / spacing.column : aspect(info.pixel_aspect_ratio);
    return tall >= 1 ? { x: 1, y: tall } : { x: 1 / tall, y: 1 };
  }

  /** @returns {{left: number, top: number, width: number, height: number, scale: number}} */
  place() {
    const shape = this.shape();
    const wide = this.exact.width * shape.x;
    const high = this.exact.height * shape.y;
    const scale = this.zoom ?? this.fitting(wide, high);
    const width = Math.max(1, Math.round(wide * scale));
    const height = Math.max(1, Math.round(high * scale));
    return {
      left: Math.round((this.canvas.width - width) / 2 + this.pan.x),
      top: Math.round((this.canvas.height - height) / 2 + this.pan.y),
      width,
      height,
      scale,
    };
  }

  /** @param {number} wide @param {number} high @returns {number} */
  fitting(wide, high) {
    return Math.min(this.canvas.width / wide, this.canvas.height / high);
  }

  /** @param {number} factor */
  zoomBy(factor) {
    if (!this.frame) return;
    const zoom = this.place().scale * factor;
    const next = Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, zoom));
    const grown = next / this.place().scale;
    this.pan = { x: this.pan.x * grown, y: this.pan.y * grown };
    this.zoom = next;
    this.draw();
  }

  /** @param {number} right @param {number} down CSS pixels */
  panBy(right, down) {
    this.pan = { x: this.pan.x + right * this.ratio, y: this.pan.y + down * this.ratio };
    this.draw();
  }

  /** @param {number | null} zoom null to fit */
  look(zoom) {
    this.zoom = zoom;
    this.pan = { x: 0, y: 0 };
    this.draw();
  }
}

/** @param {[number, number] | null} ratio vertical, horizontal @returns {number} */
function aspect(ratio) {
  return ratio && ratio[0] > 0 && ratio[1] > 0 ? ratio[0] / ratio[1] : 1;
}
