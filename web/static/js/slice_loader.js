/**
 * From the wish to see a slice to frames that may be drawn: first a preview, then, when scrolling has
 * settled, every value. An answer is handed on only while it is the slice that is wanted.
 */

import { versionKey } from "./loads.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./frames.js").Frame} Frame */
/**
 * @typedef {object} Stores
 * @property {import("./loads.js").Loads<Frame>} frames
 * @property {import("./previews.js").PreviewStore} previews
 * @property {import("./loads.js").Loads<any>} reduced
 * @property {(preview: any) => Promise<Frame>} previewFrame makes a preview ready to be drawn
 * @property {(info: any) => boolean} isSoonHere whether all values of such a frame take only moments
 * @property {() => {frames: number, previews: number}} ahead how many slices to load ahead
 * @property {(act: () => void, ms: number) => any} later as `setTimeout`
 */
/**
 * @typedef {{previews: Slice[], frames: Slice[], drawn: Slice[]}} Next what will probably be wanted next,
 *   most wanted first: to load its previews, its values, and to make its pictures ready
 */

/** Scrolling has settled when no other slice was wanted for so long. */
const SETTLE_MS = 120;

export class SliceLoader {
  /**
   * @param {Stores} stores
   * @param {{onFrame: (frame: Frame) => void, onFailure: (error: any) => void, stepOf: (info: any) => number}} told
   *   of the slice that is wanted only; and how many pixels of a frame are drawn as one
   */
  constructor(stores, { onFrame, onFailure, stepOf }) {
    this.stores = stores;
    this.onFrame = onFrame;
    this.onFailure = onFailure;
    this.stepOf = stepOf;
    /** @type {Slice | null} the only slice an answer may be drawn for */
    this.wanted = null;
    /** One number for each wish; an answer to an earlier one is of no use. */
    this.turn = 0;
    /** The wish whose values were asked for. */
    this.valuesTurn = 0;
    /** The wish whose reduced values were asked for. */
    this.reducedTurn = 0;
    /** @type {Next} */
    this.next = { previews: [], frames: [], drawn: [] };
    /** @type {Frame | null} what was handed on for this wish */
    this.given = null;
  }

  /**
   * @param {Slice} slice
   * @param {Next} next
   */
  want(slice, next) {
    this.turn += 1;
    this.stores.reduced.leave(this);
    this.wanted = slice;
    this.next = next;
    this.given = null;
    const held = this.stores.frames.held(slice);
    if (held) {
      this.give(held, this.turn);
      this.stores.previews.ahead(this, this.previewsNext());
      this.values(this.turn);
    } else {
      this.stores.frames.expect(this, [slice, ...next.frames]);
      this.previewThenValues(slice, this.turn);
    }
  }

  /** Want nothing. */
  leave() {
    this.turn += 1;
    this.wanted = null;
    this.given = null;
    this.stores.frames.leave(this);
    this.stores.previews.leave(this);
    this.stores.reduced.leave(this);
  }

  /**
   * @param {Slice} slice
   * @param {number} turn
   */
  async previewThenValues(slice, turn) {
    const settled = new Promise((done) => this.stores.later(() => done(null), SETTLE_MS));
    const ready = this.stores.previews.ready(slice);
    if (ready) this.goOn();
    // whatever is wrong with a preview, the frame itself tells
    const preview = ready || (await this.preview(slice, turn).catch(() => null));
    if (preview) this.give(preview, turn);
    await settled;
    if (turn !== this.turn || (this.given && this.given.reason)) return;
    if (!this.given || this.stores.isSoonHere(this.given.info)) this.values(turn);
    else this.reduced(slice, turn, this.given);
  }

  /**
   * Get the values of a large grey frame at the size it is drawn with; all of them follow where the
   * line turns out to be fast.
   * @param {Slice} slice
   * @param {number} turn
   * @param {Frame} given
   */
  async reduced(slice, turn, { info }) {
    const step = this.stepOf(info);
    if (info.kind !== "grey" || step < 2) return;
    this.reducedTurn = turn;
    const reduced = await this.stores.reduced.get(this, /** @type {any} */ ({ ...slice, step, info }), []).catch(() => null);
    if (turn !== this.turn) return;
    this.reducedTurn = 0;
    if (reduced && this.given && !this.given.pixels) this.give({ ...this.given, reduced, range: reduced.range }, turn);
    if (this.stores.isSoonHere(info)) this.values(turn);
  }

  /**
   * @param {Slice} slice
   * @param {number} turn
   * @returns {Promise<Frame | null>} null when it is of no use any more
   */
  async preview(slice, turn) {
    const preview = await this.stores.previews.get(this, slice, this.next.previews);
    if (turn !== this.turn) return null;
    this.stores.previews.prepare(this.next.drawn);
    return this.stores.previewFrame(preview);
  }

  /** The picture is here: load and make ready what will probably be wanted next. */
  goOn() {
    this.stores.previews.ahead(this, this.next.previews);
    this.stores.previews.prepare(this.next.drawn);
  }

  /**
   * @param {number} turn
   * @returns {Promise<void>}
   */
  values(turn) {
    const slice = this.wanted;
    if (!slice || turn !== this.turn) return Promise.resolve();
    this.valuesTurn = turn;
    return this.stores.frames.get(this, slice, this.next.frames).then(
      (frame) => this.give(frame, turn),
      (error) => {
        if (turn === this.turn && !this.given && error.name !== "AbortError") this.onFailure(error);
      },
    );
  }

  /** Ask for what can be windowed here, unless it is here or on its way. */
  needLevels() {
    if (!(this.given && this.given.reduced) && this.reducedTurn !== this.turn) this.needValues();
  }

  /** Ask for every value of the slice now, however large it is. */
  needValues() {
    const isHere = !this.given || this.given.pixels || this.given.reason;
    if (this.wanted && !isHere && this.valuesTurn !== this.turn) this.values(this.turn);
  }

  /** @returns {Slice[]} what is not here in any form */
  previewsNext() {
    return this.next.previews.filter((one) => !this.stores.frames.has(one));
  }

  /** Ask again for what did not come. */
  retry() {
    if (!this.wanted) return;
    if (this.given && (this.given.pixels || this.given.reason)) this.stores.previews.ahead(this, this.previewsNext());
    else this.want(this.wanted, this.next);
  }

  /**
   * @param {Frame} frame
   * @param {number} turn
   */
  give(frame, turn) {
    const { wanted, given } = this;
    if (turn !== this.turn || !wanted || frame === given) return;
    if (versionKey(frame.slice) !== versionKey(wanted)) return;
    if (given && given.pixels && !frame.pixels) return;
    this.given = frame;
    this.onFrame(frame);
  }
}
