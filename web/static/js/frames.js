/** Frames from the node: fetched once, kept within a budget, given up when no longer wanted. */

import { ask, Refused } from "./page.js";
import { extremes, modalityValue, typedPixels } from "./windowing.js";

/** @typedef {import("./stack.js").Slice} Slice */
/**
 * @typedef {object} Frame a slice with all that is needed to draw it; made from one info object
 * @property {Slice} slice
 * @property {any} info
 * @property {any} pixels typed array, null when there is nothing to draw
 * @property {{code: string, message: string} | null} reason why there is nothing to draw
 * @property {number} range largest less smallest modality value
 * @property {number} bytes
 */

const BUDGET_BYTES = 256 * 1024 * 1024;
const AHEAD_AT_ONCE = 3;

/** An answer that belongs to another frame than the one asked for. It is never drawn. */
export class WrongFrame extends Error {}

export class FrameStore {
  constructor() {
    /** @type {Map<string, Frame>} oldest first */
    this.kept = new Map();
    this.bytes = 0;
    /** @type {Map<string, {promise: Promise<Frame>, controller: AbortController}>} */
    this.coming = new Map();
    /** @type {Map<object, Slice[]>} what each tile wants, most wanted first */
    this.wanted = new Map();
    /** @type {Slice[]} */
    this.queue = [];
  }

  /**
   * Return a frame; what else was on its way is given up unless a tile wants it soon.
   * @param {object} owner the tile that asks
   * @param {Slice} slice
   * @param {Slice[]} next what will probably be wanted after it, most wanted first
   * @returns {Promise<Frame>}
   */
  get(owner, slice, next) {
    this.wanted.set(owner, [slice, ...next]);
    this.giveUp();
    this.queue = next;
    const frame = this.frame(slice);
    frame.then(() => this.pump(), () => {});
    return frame;
  }

  /** Forget what a tile wanted. @param {object} owner */
  leave(owner) {
    this.wanted.delete(owner);
    this.giveUp();
  }

  giveUp() {
    const keep = new Set([...this.wanted.values()].flatMap((slices) => slices.map(versionKey)));
    for (const [key, { controller }] of this.coming) if (!keep.has(key)) controller.abort();
  }

  /** @param {Slice} slice @returns {boolean} whether it can be drawn at once */
  has(slice) {
    return this.kept.has(versionKey(slice));
  }

  /** Load ahead, a few at a time, one connection being left for what is wanted now. */
  pump() {
    while (this.coming.size < AHEAD_AT_ONCE && this.queue.length) {
      const slice = /** @type {Slice} */ (this.queue.shift());
      if (!this.has(slice)) this.frame(slice).then(() => this.pump(), () => {});
    }
  }

  /** @param {Slice} slice @returns {Promise<Frame>} */
  frame(slice) {
    const key = versionKey(slice);
    const kept = this.kept.get(key);
    if (kept) {
      this.kept.delete(key);
      this.kept.set(key, kept);
      return Promise.resolve(kept);
    }
    const coming = this.coming.get(key);
    if (coming && !coming.controller.signal.aborted) return coming.promise;
    return this.fetch(slice, key);
  }

  /** @param {Slice} slice @param {string} key @returns {Promise<Frame>} */
  fetch(slice, key) {
    const controller = new AbortController();
    const promise = load(slice, controller.signal).then((frame) => {
      this.keep(key, frame);
      return frame;
    });
    const entry = { promise, controller };
    this.coming.set(key, entry);
    const done = () => {
      if (this.coming.get(key) === entry) this.coming.delete(key);
    };
    promise.then(done, done);
    return promise;
  }

  /** @param {string} key @param {Frame} frame */
  keep(key, frame) {
    this.kept.set(key, frame);
    this.bytes += frame.bytes;
    for (const [oldest, old] of this.kept) {
      if (this.bytes <= BUDGET_BYTES || oldest === key) break;
      this.kept.delete(oldest);
      this.bytes -= old.bytes;
    }
  }
}

/** @param {Slice} slice @returns {string} other bytes under the same UID are another key */
function versionKey(slice) {
  return `${slice.key}@${slice.digest}`;
}

/**
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @returns {Promise<Frame>}
 */
async function load(slice, signal) {
  const version = `?v=${slice.digest.slice(0, 16)}`;
  const bytes = ask(`${slice.url}/pixels${version}`, { signal });
  bytes.catch(() => {}); // of a frame that cannot be shown, the info says why
  const info = await (await ask(`${slice.url}/info${version}`, { signal })).json();
  if (!isOf(info, slice)) throw new WrongFrame();
  const nothing = { slice, info, pixels: null, range: 0, bytes: 4096 };
  if (info.kind === "none") return { ...nothing, reason: info.reason };
  const answer = await bytes.catch((error) => error);
  if (answer instanceof Refused) return { ...nothing, reason: { code: answer.code, message: answer.message } };
  if (answer instanceof Error) throw answer;
  if (answer.headers.get("X-Frame") !== slice.key) throw new WrongFrame();
  const pixels = typedPixels(await answer.arrayBuffer(), info.pixels.dtype);
  if (pixels.length !== info.rows * info.columns * (info.kind === "colour" ? 3 : 1)) throw new WrongFrame();
  return { slice, info, pixels, reason: null, range: range(info, pixels), bytes: pixels.byteLength + 4096 };
}

/** @param {any} info @param {Slice} slice @returns {boolean} */
export function isOf(info, slice) {
  return (
    info.sop_instance_uid === slice.sop_instance_uid &&
    info.frame_number === slice.frame_number &&
    info.series_instance_uid === slice.series_instance_uid &&
    info.study_instance_uid === slice.study_instance_uid
  );
}

/** @param {any} info @param {ArrayLike<number>} pixels @returns {number} */
function range(info, pixels) {
  if (info.kind !== "grey") return 0;
  const [low, high] = extremes(pixels, info.pixel_padding).map((stored) => modalityValue(info.modality, stored));
  return Math.abs(high - low);
}
