/**
 * The canvas a frame is drawn on (Canvas 2D). It draws what it is given and remembers nothing of
 * what came before: pixels, banner and corner text of one picture come from one frame.
 *
 * `data-frame` names the frame that is on the canvas, `data-state` says whether it is `final`,
 * `preview`, `loading`, `refused` or `empty`, and `data-left`, `data-top`, `data-zoom` say where
 * its box lies, in device pixels. At a zoom of 1 every canvas pixel is one grey level of the frame.
 */

import { Painter, wholeOf } from "./painter.js";
import { aboutPoint, inImage, onCanvas, placed, plainView, visiblePart } from "./placement.js";
import { stepFor } from "./reduce.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./placement.js").Point} Point */
/** @typedef {import("./windowing.js").Voi} Voi */

const LARGEST_ZOOM = 32;
const SMALLEST_ZOOM = 0.02;
/** A picture that was not followed by another for so long is drawn as well as can be. */
const SETTLE_MS = 150;

export class Viewport {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.painter = new Painter();
    /** @type {Frame | null} */
    this.frame = null;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    /** @type {Voi | null} */
    this.voi = null;
    this.isInverted = false;
    /** @type {{key: string, sheet: HTMLCanvasElement} | null} laid over the frame with that key */
    this.overlay = null;
    this.view = plainView();
    this.isMoving = false;
    /** Pending while other pictures may follow; 0 when none does. */
    this.settling = /** @type {any} */ (0);
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
   * @param {ImageBitmap | null} [picture] drawn while the frame has no values
   */
  show(frame, voi, isInverted, picture = frame.preview) {
    if (this.frame && this.frame.slice.key !== frame.slice.key) this.hurry();
    this.frame = frame;
    this.picture = picture;
    this.voi = voi;
    this.isInverted = isInverted;
    this.draw();
  }

  /** Another picture came: it is drawn quickly, and well once no other follows. */
  hurry() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.settling = 0;
      this.draw();
    }, SETTLE_MS);
  }

  /**
   * Show nothing.
   * @param {"loading" | "refused" | "empty"} state
   */
  clear(state) {
    this.frame = null;
    this.picture = null;
    this.painter.forget();
    this.canvas.dataset.state = state;
    this.canvas.dataset.frame = "";
    this.black();
  }

  black() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
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
    const place = this.place();
    const { pixels, reduced } = this.frame;
    if (pixels) this.drawPainted(this.painted(this.frame, place), place);
    else if (reduced) this.drawPainted(this.painter.reduced(reduced, this.voi, this.isInverted), place);
    else this.drawPicture(this.frame, place);
    if (this.overlay && this.overlay.key === this.frame.slice.key) this.drawPainted({ source: this.overlay.sheet, part: wholeOf(this.frame.info) }, place);
    Object.assign(this.canvas.dataset, {
      frame: this.frame.slice.key,
      state: this.frame.pixels ? "final" : "preview",
      left: String(place.left),
      top: String(place.top),
      zoom: String(place.scale),
    });
    this.onDrawn();
  }

  /**
   * @param {Frame} frame
   * @param {import("./placement.js").Placement} place
   * @returns {import("./painter.js").Painted}
   */
  painted(frame, place) {
    if (!this.isMoving) return this.painter.exact(frame, this.voi, this.isInverted);
    const seen = { part: visiblePart(place.matrix, frame.info, this.canvas), step: stepFor(place.scale) };
    return this.painter.quick(frame, this.voi, this.isInverted, seen);
  }

  /**
   * @param {import("./painter.js").Painted} painted
   * @param {import("./placement.js").Placement} place
   */
  drawPainted({ source, part }, { matrix }) {
    const isOneToOne = source.width === part.width && source.height === part.height;
    const isExact = isOneToOne && matrix.slice(0, 4).every((one) => one === 0 || Math.abs(one) === 1);
    this.context.imageSmoothingEnabled = !isExact;
    this.context.imageSmoothingQuality = this.isMoving || this.settling ? "low" : "high";
    this.context.setTransform(...matrix);
    this.context.drawImage(source, part.x, part.y, part.width, part.height);
  }

  /**
   * Draw what the node windowed.
   * @param {Frame} frame
   * @param {import("./placement.js").Placement} place
   */
  drawPicture(frame, place) {
    if (!this.picture) return;
    this.drawPainted({ source: this.picture, part: wholeOf(frame.info) }, place);
    if (!this.isInverted) return;
    this.context.globalCompositeOperation = "difference"; // white less the picture: its exact inverse
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, frame.info.columns, frame.info.rows);
    this.context.globalCompositeOperation = "source-over";
  }

  /** @returns {import("./placement.js").Placement} of the frame that is shown */
  place() {
    return this.placeOf(/** @type {Frame} */ (this.frame).info);
  }

  /**
   * @param {any} info
   * @returns {import("./placement.js").Placement} of a frame as it would be shown now
   */
  placeOf(info) {
    return placed(info, this.view, this.canvas);
  }

  /**
   * @param {Point} point in the image
   * @returns {Point} CSS pixels from the canvas' upper left
   */
  toScreen(point) {
    const { x, y } = onCanvas(this.place().matrix, point);
    return { x: x / this.ratio, y: y / this.ratio };
  }

  /**
   * @param {Point} point CSS pixels from the canvas' upper left
   * @returns {Point} in the image
   */
  toImage({ x, y }) {
    return inImage(this.place().matrix, { x: x * this.ratio, y: y * this.ratio });
  }

  /**
   * Zoom about a point, which stays where it is.
   * @param {number} factor
   * @param {Point} [about] CSS pixels from the canvas' upper left; its middle when left out
   */
  zoomBy(factor, about) {
    if (!this.frame) return;
    const before = this.place().scale;
    const zoom = Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, before * factor));
    const { canvas, ratio } = this;
    const still = about ? { x: about.x * ratio - canvas.width / 2, y: about.y * ratio - canvas.height / 2 } : { x: 0, y: 0 };
    this.look({ zoom, pan: aboutPoint(this.view.pan, still, zoom / before) });
  }

  /**
   * @param {number} right
   * @param {number} down CSS pixels
   */
  panBy(right, down) {
    const { pan } = this.view;
    this.look({ pan: { x: pan.x + right * this.ratio, y: pan.y + down * this.ratio } });
  }

  /** @param {Partial<import("./placement.js").View>} change */
  look(change) {
    this.view = { ...this.view, ...change };
    this.draw();
  }
}
