/** One tile of the viewer: what is wanted in it, what is drawn in it, and that the two are never confused. */

import { WrongFrame } from "./frames.js";
import { Listeners } from "./listeners.js";
import { Refused, write } from "./page.js";
import { ahead, hasFrames, openingIndex, sameSlice, slicesOf } from "./stack.js";
import { TileTexts } from "./texts.js";
import { draggedWindow, initialVoi, windowToDrag } from "./windowing.js";
import { Viewport } from "./viewport.js";
import { plainView } from "./placement.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./stack.js").Series} Series */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./frames.js").FrameStore} FrameStore */
/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {import("./placement.js").Point} Point */
/** @typedef {import("./study.js").Study} Study */
/**
 * @typedef {object} DocumentKind shows instances that have no picture
 * @property {(info: any) => boolean} canShow given the info of an instance whose `kind` is `none`
 * @property {(tile: Tile, frame: Frame) => ((() => void) | void)} show fills `tile.documentRoot`; what it
 *   returns is called when the tile moves on
 */

export class Tile {
  /**
   * @param {HTMLElement} root made from the page's template `tile`
   * @param {{store: FrameStore, documents: DocumentKind[]}} shared what all tiles use together
   */
  constructor(root, { store, documents }) {
    this.root = root;
    this.store = store;
    this.documents = documents;
    this.texts = new TileTexts(root);
    this.canvas = /** @type {HTMLCanvasElement} */ (this.texts.field("frame"));
    /** Vectors over the picture; it has the canvas' size in CSS pixels. */
    this.layer = /** @type {SVGSVGElement} */ (root.querySelector('[data-field="layer"]'));
    /** Holds what is shown of an instance without a picture. */
    this.documentRoot = /** @type {HTMLElement} */ (this.texts.field("document"));
    this.slider = /** @type {HTMLInputElement} */ (this.texts.field("slider"));
    this.viewport = new Viewport(this.canvas);
    this.viewport.onDrawn = () => this.drawn();
    /** @type {Study | null} */
    this.study = null;
    this.seriesUid = "";
    /** @type {Slice[]} */
    this.slices = [];
    this.index = 0;
    this.direction = 1;
    /** @type {Slice | null} the only slice an answer may be drawn for */
    this.slice = null;
    /** @type {Frame | null} what is drawn; `pixels` is null while only a preview is */
    this.frame = null;
    this.isActive = false;
    this.isInverted = false;
    /** @type {Map<string, Voi>} windows someone chose, per series */
    this.touched = new Map();
    /** @type {import("./windowing.js").WindowVoi | null} */
    this.dragFrom = null;
    this.leaveDocument = () => {};
    this.drawnListeners = new Listeners();
    this.sliceListeners = new Listeners();
    this.frameListeners = new Listeners();
    this.slider.addEventListener("input", () => this.goTo(Number(this.slider.value)));
  }

  /** Call a function whenever the picture was drawn: another one, moved, zoomed, or windowed. @param {() => void} act @returns {() => void} ends it */
  onDrawn(act) {
    return this.drawnListeners.add(act);
  }

  /** Call a function when another slice is wanted, or the series changed. @param {() => void} act @returns {() => void} ends it */
  onSlice(act) {
    return this.sliceListeners.add(act);
  }

  /** Call a function when `frame` has become another one. @param {() => void} act @returns {() => void} ends it */
  onFrame(act) {
    return this.frameListeners.add(act);
  }

  /** @returns {Series | null} its JSON */
  get series() {
    return this.study?.series[this.study.placeOf(this.seriesUid)] || null;
  }

  /* What the study holds. */

  /** Show a series of a study. @param {Study} study @param {number} at its place in the study */
  show(study, at) {
    const series = study.series[at];
    if (!series || (this.study === study && this.seriesUid === series.series_instance_uid)) return;
    this.blank("loading");
    this.study = study;
    this.seriesUid = series.series_instance_uid;
    this.slice = null;
    this.slices = slicesOf(study.uid, series);
    this.viewport.look(plainView());
    this.goTo(openingIndex(series, this.slices.length));
  }

  /** New images join by their position; the slice that is viewed stays. */
  grow() {
    const series = this.series;
    if (!this.study || !series) return;
    this.slices = slicesOf(this.study.uid, series);
    this.index = sameSlice(this.slices, this.slice?.key || "", this.index);
    this.showStack();
    this.sliceListeners.call();
  }

  /** Show nothing and want nothing. */
  empty() {
    this.study = null;
    this.seriesUid = "";
    this.slices = [];
    this.slice = null;
    this.store.leave(this);
    this.blank("empty");
    this.showStack();
    this.sliceListeners.call();
  }

  /* Which slice is wanted, and what happens to the answers. */

  /** @param {number} index */
  goTo(index) {
    const last = this.slices.length - 1;
    const next = Math.max(0, Math.min(last, index));
    if (last < 0 || this.slices[next].key === this.slice?.key) return;
    this.direction = next < this.index ? -1 : 1;
    this.index = next;
    this.want(this.slices[next]);
    this.showStack();
    this.sliceListeners.call();
  }

  /** @param {Slice} slice */
  want(slice) {
    this.slice = slice;
    if (!this.store.has(slice)) this.canvas.dataset.state = "loading";
    const next = ahead(this.index, this.slices.length, this.direction).map((at) => this.slices[at]);
    const isWanted = () => this.slice?.key === slice.key && this.slice.digest === slice.digest;
    this.store
      .get(this, slice, next)
      .then((frame) => isWanted() && this.take(frame))
      .catch((error) => isWanted() && error.name !== "AbortError" && this.refuse(error));
  }

  /** Draw a frame and everything that is said about it, from the one object. @param {Frame} frame */
  take(frame) {
    this.leaveDocument();
    this.leaveDocument = () => {};
    this.documentRoot.hidden = true;
    this.frame = frame;
    this.texts.identity(frame.info);
    this.texts.message("");
    if (frame.reason) this.showReason(frame);
    else this.redraw();
    this.frameListeners.call();
  }

  /** Show an instance without a picture, or say why there is none. @param {Frame} frame */
  showReason(frame) {
    this.viewport.clear("refused");
    this.canvas.dataset.frame = frame.slice.key;
    this.texts.edges({}, plainView());
    const kind = this.documents.find((one) => one.canShow(frame.info));
    if (kind) {
      this.documentRoot.hidden = false;
      this.leaveDocument = kind.show(this, frame) || (() => {});
    } else {
      this.texts.message("This image cannot be shown here", frame.reason?.message || "");
    }
    this.drawnListeners.call();
  }

  /** Draw again what is drawn, as it is looked at now. */
  redraw() {
    const frame = this.frame;
    if (!frame || frame.reason) return;
    const voi = this.voi(frame);
    this.viewport.show(frame, voi, this.isInverted);
    this.texts.window(frame.info, voi, this.isInverted);
  }

  drawn() {
    if (!this.frame) return;
    this.texts.zoom(this.viewport.place().scale);
    this.texts.edges(this.frame.info, this.viewport.view);
    this.drawnListeners.call();
  }

  /** @param {any} error */
  refuse(error) {
    this.blank("refused");
    if (error instanceof Refused) this.texts.message("This image cannot be shown here", error.message);
    else if (error instanceof WrongFrame || error instanceof RangeError) this.texts.message("This image was not drawn", "The node's answer belongs to another image. Choose the image again; if this stays, tell IT.");
    else this.texts.message("The node does not answer", "Images that are loaded stay usable. This one is asked for again when the node is back.");
  }

  /** @param {"loading" | "refused" | "empty"} state */
  blank(state) {
    this.leaveDocument();
    this.leaveDocument = () => {};
    this.documentRoot.hidden = true;
    this.frame = null;
    this.viewport.clear(state);
    this.texts.clear();
    this.texts.message("");
    this.frameListeners.call();
  }

  /** Ask again for what is not there. */
  retry() {
    if (this.slice && !this.frame) this.want(this.slice);
  }

  showStack() {
    this.texts.position(this.index, this.slices.length, hasFrames(this.series || undefined));
    this.slider.max = String(Math.max(0, this.slices.length - 1));
    this.slider.value = String(this.index);
    this.slider.disabled = this.slices.length < 2;
    write(this.texts.field("text-warning"), (this.series?.warnings || []).join(" · "));
  }

  /* Where things are. */

  /** @param {Point} point in the image: columns and rows from the upper left corner of the first pixel @returns {Point} CSS pixels from the canvas' upper left */
  toScreen(point) {
    return this.frame && !this.frame.reason ? this.viewport.toScreen(point) : { x: NaN, y: NaN };
  }

  /** @param {Point} point CSS pixels from the canvas' upper left @returns {Point} in the image; NaN when nothing is drawn */
  toImage(point) {
    return this.frame && !this.frame.reason ? this.viewport.toImage(point) : { x: NaN, y: NaN };
  }

  /* How it is looked at. */

  /** @param {Frame | null} [frame] @returns {Voi | null} the window chosen for the series, else the frame's own; null for colour */
  voi(frame = this.frame) {
    if (!frame || frame.info.kind !== "grey") return null;
    const chosen = this.touched.get(frame.slice.series_instance_uid);
    if (!chosen || (chosen.kind === "voi_lut" && !frame.info.voi_luts[chosen.index])) return initialVoi(frame.info);
    return chosen;
  }

  /** Choose the window of the series that is shown. @param {Voi | null} voi null for the file's own */
  chooseWindow(voi) {
    if (voi) this.touched.set(this.seriesUid, voi);
    else this.touched.delete(this.seriesUid);
    this.redraw();
  }

  beginDrag() {
    this.viewport.isMoving = true;
    const frame = this.frame;
    this.dragFrom = frame && frame.info.kind === "grey" ? windowToDrag(frame.info, /** @type {Voi} */ (this.voi(frame))) : null;
  }

  /** @param {number} right @param {number} up CSS pixels since the drag began */
  dragWindow(right, up) {
    if (this.frame && this.dragFrom) this.chooseWindow(draggedWindow(this.dragFrom, right, up, this.frame.range));
  }

  endDrag() {
    this.viewport.isMoving = false;
    this.dragFrom = null;
    this.viewport.draw();
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.redraw();
  }

  /** Everything as it was at first, except the slice. */
  reset() {
    this.isInverted = false;
    this.viewport.look(plainView());
    this.chooseWindow(null);
  }
}
