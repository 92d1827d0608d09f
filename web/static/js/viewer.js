/** The viewer of one study: what is wanted, what is shown, and that the two are never confused. */

import { FrameStore, WrongFrame } from "./frames.js";
import { ask, Changes, NodeClock, Refused, setChip, setReceived, timeout, write } from "./page.js";
import { offers } from "./presets.js";
import { ahead, hasFrames, openingIndex, sameSlice, slicesOf } from "./stack.js";
import { Strip } from "./strip.js";
import { clearPicture, showIdentity, showMessage, showPosition, showWindow, showZoom } from "./texts.js";
import { bindButtons, bindKeys, bindPointers, bindWheel } from "./tools.js";
import { draggedWindow, initialVoi, windowToDrag } from "./windowing.js";
import { Viewport } from "./viewport.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./stack.js").Series} Series */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */

const STEP_PX = 24;

class Viewer {
  /** @param {string} studyUid */
  constructor(studyUid) {
    this.studyUid = studyUid;
    this.canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("frame"));
    this.slider = /** @type {HTMLInputElement} */ (document.getElementById("slider"));
    this.select = /** @type {HTMLSelectElement} */ (document.getElementById("preset"));
    this.viewport = new Viewport(this.canvas);
    this.viewport.onDrawn = () => showZoom(this.viewport.place().scale);
    this.store = new FrameStore();
    this.strip = new Strip(/** @type {HTMLElement} */ (document.getElementById("strip")), studyUid, (at) => this.chooseSeries(at));
    this.clock = new NodeClock(document.body.dataset.now || "");
    this.ctPresets = JSON.parse(document.body.dataset.presets || "[]");
    /** @type {Series[]} */
    this.series = [];
    /** @type {Slice[]} */
    this.slices = [];
    this.chosen = -1;
    this.index = 0;
    this.direction = 1;
    /** @type {Slice | null} the only slice an answer may be drawn for */
    this.wanted = null;
    /** @type {Frame | null} */
    this.shown = null;
    /** @type {Map<string, Voi>} windows someone chose, per series */
    this.touched = new Map();
    this.isInverted = false;
    this.toolName = "window";
    /** @type {import("./windowing.js").WindowVoi | null} */
    this.dragFrom = null;
    /** @type {any} */
    this.study = null;
    /** @type {import("./presets.js").Offer[]} */
    this.offers = [];
    this.changes = new Changes({ onChange: () => this.refresh(), onBack: () => this.retry() });
  }

  async start() {
    bindPointers(this.canvas, this);
    bindWheel(this.canvas, this);
    bindKeys(document, this);
    bindButtons(document, this);
    this.select.addEventListener("change", () => this.chooseOffer(this.select.value));
    this.slider.addEventListener("input", () => this.goTo(Number(this.slider.value)));
    document.getElementById("close-keys")?.addEventListener("click", () => this.keysDialog().close());
    setInterval(() => this.tick(), 1000);
    try {
      await this.refresh();
    } catch (error) {
      this.refuse(error);
    }
    this.changes.start();
  }

  /* What the study holds; it may grow at any time. */

  async refresh() {
    const answer = await ask(`/api/v1/studies/${this.studyUid}`, { signal: timeout(8000) });
    const found = await answer.json();
    this.clock.set(found.now);
    this.study = found.study;
    this.series = found.study.series;
    const uid = this.wanted?.series_instance_uid;
    const at = this.series.findIndex((series) => series.series_instance_uid === uid);
    if (at < 0) this.chooseSeries(Math.max(0, this.firstToShow()));
    else this.grow(at);
    this.strip.show(this.series, this.chosen);
    this.tick();
  }

  /** @returns {number} */
  firstToShow() {
    return this.series.findIndex((series) => series.instances.some((instance) => instance.rows));
  }

  /** New images join by their position; the slice that is viewed stays. @param {number} at */
  grow(at) {
    this.chosen = at;
    this.slices = slicesOf(this.studyUid, this.series[at], this.study.correction_id);
    this.index = sameSlice(this.slices, this.wanted?.key || "", this.index);
    const now = this.slices[this.index];
    if (now && this.wanted && now.correction_id !== this.wanted.correction_id) this.want(now); // whose it is has changed
    this.showStack();
  }

  /** @param {number} at */
  chooseSeries(at) {
    const series = this.series[at];
    if (!series || at === this.chosen) return;
    this.chosen = at;
    this.slices = slicesOf(this.studyUid, series, this.study?.correction_id);
    this.strip.mark(at);
    this.viewport.look(null);
    this.blank("loading");
    this.goTo(openingIndex(series, this.slices.length));
  }

  /* Which slice is wanted, and what happens to the answers. */

  /** @param {number} index */
  goTo(index) {
    const last = this.slices.length - 1;
    const next = Math.max(0, Math.min(last, index));
    if (last < 0 || this.slices[next] === this.wanted) return;
    this.direction = next < this.index ? -1 : 1;
    this.index = next;
    this.want(this.slices[next]);
    this.showStack();
  }

  /** @param {Slice} slice */
  want(slice) {
    this.wanted = slice;
    if (!this.store.has(slice)) this.canvas.dataset.state = "loading";
    const next = ahead(this.index, this.slices.length, this.direction).map((at) => this.slices[at]);
    const isWanted = () => this.wanted?.key === slice.key;
    this.store
      .get(slice, next)
      .then((frame) => isWanted() && this.show(frame))
      .catch((error) => isWanted() && error.name !== "AbortError" && this.refuse(error));
  }

  /** Draw a frame and everything that is said about it, from the one object. @param {Frame} frame */
  show(frame) {
    this.shown = frame;
    showIdentity(frame.info);
    if (frame.reason) {
      this.viewport.clear("refused");
      this.viewport.canvas.dataset.frame = frame.slice.key;
      showMessage("This image cannot be shown here", frame.reason.message);
      return;
    }
    showMessage("");
    this.redraw();
    this.listOffers(frame);
  }

  redraw() {
    const frame = this.shown;
    if (!frame || frame.reason) return;
    const voi = this.voi(frame);
    this.viewport.show(frame, voi, this.isInverted);
    showWindow(frame.info, voi, this.isInverted);
  }

  /** @param {Frame} frame @returns {Voi | null} the window chosen for the series, else the frame's own */
  voi(frame) {
    if (frame.info.kind !== "grey") return null;
    const chosen = this.touched.get(frame.slice.series_instance_uid);
    if (!chosen || (chosen.kind === "voi_lut" && !frame.info.voi_luts[chosen.index])) return initialVoi(frame.info);
    return chosen;
  }

  /** @param {any} error */
  refuse(error) {
    this.blank("refused");
    if (error instanceof Refused) showMessage("This image cannot be shown here", error.message);
    else if (error instanceof WrongFrame || error instanceof RangeError) showMessage("This image was not drawn", "The node's answer belongs to another image. Choose the image again; if this stays, tell IT.");
    else showMessage("The node does not answer", "Images that are loaded stay usable. This one is asked for again when the node is back.");
  }

  /** @param {"loading" | "refused"} state */
  blank(state) {
    this.shown = null;
    this.viewport.clear(state);
    clearPicture();
    showMessage("");
  }

  retry() {
    if (this.wanted && !this.shown) this.want(this.wanted);
  }

  /* What is around the picture. */

  showStack() {
    showPosition(this.index, this.slices.length, hasFrames(this.series[this.chosen]));
    this.slider.max = String(Math.max(0, this.slices.length - 1));
    this.slider.value = String(this.index);
    this.slider.disabled = this.slices.length < 2;
    const warning = document.getElementById("text-warning");
    write(warning, this.series[this.chosen]?.warnings.join(" · ") || "");
  }

  /** @param {Frame} frame */
  listOffers(frame) {
    this.offers = frame.info.kind === "grey" ? offers(frame.info, frame.pixels, this.ctPresets) : [];
    this.select.disabled = this.offers.length === 0;
    const ids = this.offers.map((offer) => offer.id + offer.label).join();
    if (this.select.dataset.offers !== ids) {
      this.select.dataset.offers = ids;
      const options = this.offers.map((offer) => new Option(offer.label, offer.id));
      this.select.replaceChildren(...(options.length ? options : [new Option("Colour", "default")]));
    }
    this.select.value = this.touched.has(frame.slice.series_instance_uid) ? this.select.dataset.chosen || "" : "default";
  }

  tick() {
    if (!this.study) return;
    setReceived(document.querySelector('[data-field="received"]'), this.study.last_received_at, this.clock);
    setChip(document.querySelector('[data-field="delivery"]'), this.study.delivery.state, this.study.delivery.words);
    const conflict = document.querySelector('[data-field="conflict"]');
    if (conflict instanceof HTMLElement) conflict.hidden = !this.study.display.conflict;
    setChip(conflict, "attention", this.study.display.conflict);
    write(document.getElementById("study-count"), this.study.display.held);
  }

  /* What people do. */

  tool() {
    return this.toolName;
  }

  /** @param {string} name */
  chooseTool(name) {
    this.toolName = name;
    this.canvas.dataset.tool = name;
    for (const button of document.querySelectorAll('button[data-action="tool"]')) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-value") === name));
    }
  }

  /** @param {number} steps */
  scroll(steps) {
    this.goTo(this.index + steps);
  }

  /** @param {number} steps */
  seriesBy(steps) {
    this.chooseSeries(Math.max(0, Math.min(this.series.length - 1, this.chosen + steps)));
  }

  beginDrag() {
    this.viewport.isMoving = true;
    const frame = this.shown;
    this.dragFrom = frame && frame.info.kind === "grey" ? windowToDrag(frame.info, /** @type {Voi} */ (this.voi(frame))) : null;
  }

  endDrag() {
    this.viewport.isMoving = false;
    this.dragFrom = null;
    this.viewport.draw();
  }

  /** @param {number} right @param {number} up */
  window(right, up) {
    const frame = this.shown;
    if (!frame || !this.dragFrom) return;
    this.touch(draggedWindow(this.dragFrom, right, up, frame.range), "");
  }

  /** @param {number} right @param {number} up */
  windowStep(right, up) {
    this.beginDrag();
    this.window(right * STEP_PX, up * STEP_PX);
    this.endDrag();
  }

  /** @param {Voi} voi @param {string} offer */
  touch(voi, offer) {
    if (!this.shown) return;
    this.touched.set(this.shown.slice.series_instance_uid, voi);
    this.select.dataset.chosen = offer;
    this.select.value = offer;
    this.redraw();
  }

  /** @param {string} id */
  chooseOffer(id) {
    const offer = this.offers.find((one) => one.id === id);
    if (offer) this.touch(offer.voi(), id);
  }

  /** @param {number} digit 0 is the file's own window */
  preset(digit) {
    const wanted = this.ctPresets.find((/** @type {any} */ preset) => preset.key === String(digit));
    this.chooseOffer(digit === 0 ? "default" : wanted?.name);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.viewport.zoomBy(factor);
  }

  /** @param {number} right @param {number} down */
  pan(right, down) {
    this.viewport.panBy(right, down);
  }

  invert() {
    this.isInverted = !this.isInverted;
    document.querySelector('button[data-action="invert"]')?.setAttribute("aria-pressed", String(this.isInverted));
    this.redraw();
  }

  fit() {
    this.viewport.look(null);
  }

  oneToOne() {
    this.viewport.look(1);
  }

  /** Everything as it was at first, except the slice. */
  reset() {
    this.touched.delete(this.wanted?.series_instance_uid || "");
    if (this.isInverted) this.invert();
    this.viewport.look(null);
    this.redraw();
    if (this.shown) this.listOffers(this.shown);
  }

  help() {
    this.keysDialog().showModal();
  }

  keysDialog() {
    return /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
  }
}

new Viewer(document.body.dataset.studyInstanceUid || "").start();
