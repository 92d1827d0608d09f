/** One tile of the viewer: what is wanted in it, what is drawn in it, and that the two are never confused. */

import { WrongFrame } from "./frames.js";
import { Listeners } from "./listeners.js";
import { Refused, write } from "./page.js";
import { plainView } from "./placement.js";
import { underState } from "./presentation_states.js";
import { NodeWindow } from "./previews.js";
import { stepFor } from "./reduce.js";
import { SliceLoader } from "./slice_loader.js";
import { ahead, hasFrames, nearestShown, onward, openingSlices, sameSlice, slicesOf, stepped } from "./stack.js";
import { TileTexts } from "./texts.js";
import { clampedWindow, draggedWindow, initialVoi, windowToDrag } from "./windowing.js";
import { Viewport } from "./viewport.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./stack.js").Series} Series */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {import("./placement.js").Point} Point */
/** @typedef {import("./study.js").Study} Study */
/**
 * @typedef {object} DocumentKind shows instances that have no picture
 * @property {(info: any) => boolean} canShow given the info of an instance whose `kind` is `none`
 * @property {(tile: Tile, frame: Frame) => ((() => void) | void)} show fills `tile.documentRoot`; what it
 *   returns is called when the tile moves on
 */

/** How much larger than its own size a preview may be drawn. */
const FINER = 1.5;

export class Tile {
  /**
   * @param {HTMLElement} root made from the page's template `tile`
   * @param {{stores: import("./slice_loader.js").Stores, documents: DocumentKind[]}} shared what all tiles use together
   */
  constructor(root, { stores, documents }) {
    this.root = root;
    this.documents = documents;
    this.stores = stores;
    this.loader = new SliceLoader(stores, { onFrame: (frame) => this.take(frame), onFailure: (error) => this.refuse(error), stepOf: (info) => stepFor(this.viewport.placeOf(info).scale) });
    this.nodeWindow = new NodeWindow((frame, voi, picture) => this.takeWindowed(frame, voi, picture));
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
    /** @type {((slice: Slice) => boolean) | null} scrolling goes over these only; null for all */
    this.filter = null;
    /** @type {Frame | null} what is drawn; `pixels` is null while only a preview is */
    this.frame = null;
    this.isActive = false;
    this.isInverted = false;
    /** @type {any[]} presentation states for what is drawn */
    this.states = [];
    /** @type {any} the one that is applied, null for none */
    this.presentation = null;
    /** @type {Map<string, Voi>} windows someone chose, per series */
    this.touched = new Map();
    /** @type {import("./windowing.js").WindowVoi | null} */
    this.dragFrom = null;
    this.leaveDocument = () => {};
    this.drawnListeners = new Listeners();
    this.sliceListeners = new Listeners();
    this.frameListeners = new Listeners();
    this.slider.addEventListener("input", () => this.scrollTo(Number(this.slider.value)));
  }

  /**
   * Call a function whenever the picture was drawn: another one, moved, zoomed, or windowed.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onDrawn(act) {
    return this.drawnListeners.add(act);
  }

  /**
   * Call a function when another slice is wanted, or the series changed.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onSlice(act) {
    return this.sliceListeners.add(act);
  }

  /**
   * Call a function when `frame` has become another one.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onFrame(act) {
    return this.frameListeners.add(act);
  }

  /** @returns {Slice | null} the one that is wanted */
  get slice() {
    return this.loader.wanted;
  }

  /** @returns {Series | null} its JSON */
  get series() {
    return this.study?.series[this.study.placeOf(this.seriesUid)] || null;
  }

  /* What the study holds. */

  /**
   * Show a series of a study.
   * @param {Study} study
   * @param {number} at its place in the study
   */
  show(study, at) {
    const series = study.series[at];
    if (!series || (this.study === study && this.seriesUid === series.series_instance_uid)) return;
    this.blank("loading");
    this.presentation = null;
    this.study = study;
    this.seriesUid = series.series_instance_uid;
    this.loader.leave();
    this.slices = slicesOf(study.uid, series, study.facts?.correction_id);
    this.viewport.look(plainView());
    this.showStack();
    this.scrollTo(series.opens_at);
  }

  /** New images join by their position; the slice that is viewed stays. */
  grow() {
    const series = this.series;
    if (!this.study || !series) return;
    this.slices = slicesOf(this.study.uid, series, this.study.facts?.correction_id);
    this.index = sameSlice(this.slices, this.slice?.key || "", this.index);
    const now = this.slices[this.index];
    if (now && this.slice && now.correction_id !== this.slice.correction_id) this.want(now); // whose it is has changed
    this.showStack();
    this.sliceListeners.call();
  }

  /** Show nothing and want nothing. */
  empty() {
    this.study = null;
    this.seriesUid = "";
    this.slices = [];
    this.loader.leave();
    this.blank("empty");
    this.showStack();
    this.sliceListeners.call();
  }

  /* Which slice is wanted, and what happens to the answers. */

  /**
   * Scroll by some slices of those that are let through.
   * @param {number} steps
   * @param {boolean} [isRound] whether the first follows the last
   */
  scrollBy(steps, isRound = false) {
    const next = this.filter ? stepped(this.slices, this.index, steps, this.filter) : this.index + steps;
    const isEnd = this.filter ? next === this.index : next >= this.slices.length;
    if (isRound && isEnd) this.scrollTo(0);
    else if (next >= 0 || !this.filter) this.goTo(next);
  }

  /**
   * Scroll to a place, or to what is let through nearest to it.
   * @param {number} index
   */
  scrollTo(index) {
    const next = this.filter ? nearestShown(this.slices, index, index < this.index ? -1 : 1, this.filter) : index;
    this.goTo(next < 0 ? index : next);
    this.slider.value = String(this.index); // it shows where the slice is, not where the hand is
  }

  /**
   * Go to a slice, let through or not.
   * @param {number} index
   */
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
    if (this.frame?.slice.key !== slice.key) this.canvas.dataset.state = "loading";
    const { frames, previews } = this.stores.ahead();
    const next = ahead(this.index, this.slices.length, this.direction, previews).map((at) => this.slices[at]);
    this.nodeWindow.forget();
    const drawn = onward(this.slices, this.index, this.direction);
    this.loader.want(slice, { previews: [...next, ...this.otherOpenings(slice)], frames: next.slice(0, frames), drawn });
  }

  /**
   * @param {Slice} slice
   * @returns {Slice[]} what the other series of the study open with, while there is room for it
   */
  otherOpenings({ series_instance_uid }) {
    if (!this.study || this.stores.ahead().frames === 0) return [];
    const found = openingSlices(this.study.uid, this.study.series, this.study.facts?.correction_id);
    return found.filter((one) => one.series_instance_uid !== series_instance_uid);
  }

  /**
   * Draw a frame, once it can be drawn under the window that was chosen.
   * @param {Frame} frame
   */
  take(frame) {
    const voi = this.voi(frame);
    if (!this.canDraw(frame, voi)) return this.askFor(frame, voi);
    this.nodeWindow.forget();
    this.adopt(frame, frame.preview, voi);
  }

  /**
   * Ask for what a preview does not have: the node can window it, but not under a table of the
   * file or a presentation state.
   * @param {Frame} frame
   * @param {Voi | null} voi
   */
  askFor(frame, voi) {
    if (voi && voi.kind === "window" && underState(frame, this.presentation) === frame) return this.askNode(frame, voi);
    this.nodeWindow.forget();
    this.loader.needValues();
  }

  /**
   * Draw what the node windowed, if that is still what is wanted.
   * @param {Frame} frame
   * @param {Voi} voi
   * @param {ImageBitmap} picture
   */
  takeWindowed(frame, voi, picture) {
    if (this.loader.given !== frame) return;
    if (this.frame !== frame) this.adopt(frame, picture, voi);
    else this.draw(frame, picture, voi);
  }

  /**
   * Draw a frame and everything that is said about it, from the one object.
   * @param {Frame} frame
   * @param {ImageBitmap | null} picture under that window, while there are no values
   * @param {Voi | null} voi
   */
  adopt(frame, picture, voi) {
    this.closeDocument();
    this.frame = frame;
    this.texts.identity(frame);
    this.texts.message("");
    this.showPosition();
    if (frame.reason) this.showReason(frame);
    else this.draw(frame, picture, voi);
    this.frameListeners.call();
  }

  /**
   * @param {Frame} frame
   * @param {ImageBitmap | null} picture
   * @param {Voi | null} voi what the picture is windowed by, and what is said of it
   */
  draw(frame, picture, voi) {
    const seen = underState(frame, this.presentation);
    this.viewport.show(seen, voi, this.isInverted, picture);
    this.texts.window(seen.info, voi, this.isInverted);
  }

  /**
   * Show an instance without a picture, or say why there is none.
   * @param {Frame} frame
   */
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
    const { frame } = this;
    const { given } = this.loader;
    if (given && given !== frame) this.take(given); // it waits for its window
    if (!frame || frame.reason || frame !== this.frame) return;
    const voi = this.voi(frame);
    if (given === frame && !this.canDraw(frame, voi)) return this.askFor(frame, voi); // until then what is drawn keeps its words
    if (given === frame) this.nodeWindow.forget();
    if (this.canDraw(frame, voi)) this.draw(frame, frame.preview, voi);
  }

  /**
   * @param {Frame} frame
   * @param {Voi | null} voi
   * @returns {boolean} whether it can be drawn under this window now; a preview has the frame's own
   */
  canDraw(frame, voi) {
    if (underState(frame, this.presentation) !== frame) return Boolean(frame.pixels);
    return Boolean(frame.pixels || frame.reduced || frame.reason || !voi) || JSON.stringify(voi) === JSON.stringify(initialVoi(frame.info));
  }

  /**
   * @param {Frame} frame
   * @param {Voi} voi
   */
  askNode(frame, voi) {
    this.nodeWindow.ask(frame, voi, Math.max(this.canvas.width, this.canvas.height));
  }

  closeDocument() {
    this.leaveDocument();
    this.leaveDocument = () => {};
    this.documentRoot.hidden = true;
  }

  drawn() {
    if (!this.frame) return;
    const { scale } = this.viewport.place();
    this.texts.zoom(scale);
    const { preview, reduced, pixels, info } = this.frame;
    // what has fewer pixels than its frame is not to be looked at closely
    const width = reduced ? reduced.info.columns : preview && preview.width;
    if (!pixels && width && width < info.columns && scale * info.columns > FINER * width) this.loader.needValues();
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
    this.texts.field("first-picture")?.remove(); // its words go with it
    this.closeDocument();
    this.frame = null;
    this.viewport.clear(state);
    this.texts.clear();
    this.texts.message("");
    this.frameListeners.call();
  }

  /** Ask again for what is not there. */
  retry() {
    this.loader.retry();
  }

  /** Show how long the stack is, where in it the wanted slice is, and what seems to be missing. */
  showStack() {
    this.slider.max = String(Math.max(0, this.slices.length - 1));
    this.slider.value = String(this.index);
    this.slider.disabled = this.slices.length < 2;
    this.showPosition();
    write(this.texts.field("text-warning"), (this.series?.warnings || []).join(" · "));
  }

  /** Say which image is drawn, and which one is on its way. */
  showPosition() {
    const isFrames = hasFrames(this.series || undefined);
    const drawn = this.frame?.slice.key === this.slice?.key ? this.index : sameSlice(this.slices, this.frame?.slice.key || "", -1);
    if (this.study) this.texts.position(drawn, this.slices.length, isFrames);
    else this.texts.free();
    this.texts.waiting(drawn === this.index || !this.slices.length ? "" : `Loading ${isFrames ? "frame" : "image"} ${this.index + 1}`);
  }

  /* Where things are. */

  /**
   * @param {Point} point in the image: columns and rows from the upper left corner of the first pixel
   * @returns {Point} CSS pixels from the canvas' upper left
   */
  toScreen(point) {
    return this.frame && !this.frame.reason ? this.viewport.toScreen(point) : { x: NaN, y: NaN };
  }

  /**
   * @param {Point} point CSS pixels from the canvas' upper left
   * @returns {Point} in the image; NaN when nothing is drawn
   */
  toImage(point) {
    return this.frame && !this.frame.reason ? this.viewport.toImage(point) : { x: NaN, y: NaN };
  }

  /* How it is looked at. */

  /**
   * @param {Frame | null} [frame]
   * @returns {Voi | null} the window chosen for the series, else the frame's own; null for colour
   */
  voi(frame = this.frame) {
    if (!frame || frame.info.kind !== "grey") return null;
    const { info } = underState(frame, this.presentation);
    const chosen = this.touched.get(frame.slice.series_instance_uid);
    if (!chosen || (chosen.kind === "voi_lut" && !info.voi_luts[chosen.index])) return initialVoi(info);
    return chosen;
  }

  /**
   * Choose the window of the series that is shown.
   * @param {Voi | null} voi null for the file's own
   */
  chooseWindow(voi) {
    if (voi) this.touched.set(this.seriesUid, voi);
    else this.touched.delete(this.seriesUid);
    this.redraw();
  }

  beginDrag() {
    this.viewport.isMoving = true;
    this.loader.needLevels();
    const frame = this.frame;
    this.dragFrom = frame && frame.info.kind === "grey" ? windowToDrag(underState(frame, this.presentation).info, /** @type {Voi} */ (this.voi(frame))) : null;
  }

  /**
   * @param {number} right
   * @param {number} up CSS pixels since the drag began
   */
  dragWindow(right, up) {
    if (!this.frame || !this.dragFrom) return;
    this.chooseWindow(clampedWindow(this.frame.info, draggedWindow(this.dragFrom, right, up, this.frame.range)));
  }

  endDrag() {
    this.viewport.isMoving = false;
    this.dragFrom = null;
    this.viewport.draw();
  }

  /**
   * Fit the picture to the tile, or draw it one to one.
   * @param {Point} about CSS pixels from the canvas' upper left; what is there stays there
   */
  toggleOneToOne(about) {
    const { viewport } = this;
    if (!this.frame) return;
    if (viewport.view.zoom === null) viewport.zoomBy(1 / viewport.place().scale, about);
    else viewport.look({ zoom: null, pan: { x: 0, y: 0 } });
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.redraw();
  }

  /** Everything as it was at first, except the slice. */
  reset() {
    this.isInverted = false;
    this.presentation = null;
    this.viewport.look(plainView());
    this.chooseWindow(null);
    this.frameListeners.call();
  }
}
