/** Things loaded from the node: once each, kept within a budget, given up when no longer wanted. */

/** @typedef {import("./stack.js").Slice} Slice */

/**
 * @template {{bytes: number}} Value
 */
export class Loads {
  /**
   * @param {(slice: Slice, signal: AbortSignal) => Promise<Value>} load
   * @param {{budgetBytes: number, aheadAtOnce: number}} limits what is kept, and how many are on their
   *   way at once when nothing is wanted now; the others of the browser's six connections stay free
   */
  constructor(load, { budgetBytes, aheadAtOnce }) {
    this.load = load;
    this.budgetBytes = budgetBytes;
    this.aheadAtOnce = aheadAtOnce;
    /** @type {Map<string, Value>} oldest first */
    this.kept = new Map();
    this.bytes = 0;
    /** @type {Map<string, {promise: Promise<Value>, controller: AbortController}>} */
    this.coming = new Map();
    /** @type {Map<object, Slice[]>} what each tile wants, most wanted first */
    this.wanted = new Map();
    /** @type {Slice[]} */
    this.queue = [];
  }

  /**
   * Say what a tile wants now and soon; what no tile wants any more is given up.
   * @param {object} owner the tile
   * @param {Slice[]} slices most wanted first
   */
  expect(owner, slices) {
    this.wanted.set(owner, slices);
    this.queue = [];
    const keep = new Set([...this.wanted.values()].flatMap((wanted) => wanted.map(versionKey)));
    for (const [key, { controller }] of this.coming) if (!keep.has(key)) controller.abort();
  }

  /**
   * Forget what a tile wanted.
   * @param {object} owner
   */
  leave(owner) {
    this.expect(owner, []);
    this.wanted.delete(owner);
  }

  /** Give up everything that is on its way: over a line that broke it may never come. */
  abandon() {
    for (const { controller } of this.coming.values()) controller.abort();
    this.coming.clear();
  }

  /**
   * Return what a slice has; then load what comes next.
   * @param {object} owner the tile that asks
   * @param {Slice} slice
   * @param {Slice[]} next what will probably be wanted after it, most wanted first
   * @returns {Promise<Value>}
   */
  get(owner, slice, next) {
    this.expect(owner, [slice, ...next]);
    const value = this.one(slice);
    const goOn = (/** @type {Value} */ { bytes }) => {
      // what comes next must not drive out what is looked at
      const room = Math.floor(this.budgetBytes / 3 / Math.max(1, bytes));
      if (this.wanted.get(owner)?.[0] === slice) this.queue = next.slice(0, room);
      this.pump();
    };
    value.then(goOn, () => {});
    return value;
  }

  /**
   * Load what comes next, while the slice that is wanted is here in another form.
   * @param {object} owner
   * @param {Slice[]} next most wanted first
   */
  ahead(owner, next) {
    this.expect(owner, next);
    this.queue = [...next];
    this.pump();
  }

  /**
   * @param {Slice} slice
   * @returns {boolean} whether it is here
   */
  has(slice) {
    return this.kept.has(versionKey(slice));
  }

  /**
   * @param {Slice} slice
   * @returns {Value | undefined} what is here
   */
  held(slice) {
    const key = versionKey(slice);
    const kept = this.kept.get(key);
    if (kept) {
      this.kept.delete(key);
      this.kept.set(key, kept);
    }
    return kept;
  }

  /** Load ahead, a few at a time. */
  pump() {
    while (this.coming.size < this.aheadAtOnce && this.queue.length) {
      const slice = /** @type {Slice} */ (this.queue.shift());
      if (!this.has(slice)) this.one(slice).then(() => this.pump(), () => {});
    }
  }

  /**
   * @param {Slice} slice
   * @returns {Promise<Value>}
   */
  one(slice) {
    const kept = this.held(slice);
    if (kept) return Promise.resolve(kept);
    const key = versionKey(slice);
    const coming = this.coming.get(key);
    if (coming && !coming.controller.signal.aborted) return coming.promise;
    return this.fetch(slice, key);
  }

  /**
   * @param {Slice} slice
   * @param {string} key
   * @returns {Promise<Value>}
   */
  fetch(slice, key) {
    const controller = new AbortController();
    const promise = this.load(slice, controller.signal).then((value) => {
      this.keep(key, value);
      return value;
    });
    const entry = { promise, controller };
    this.coming.set(key, entry);
    const done = () => {
      if (this.coming.get(key) === entry) this.coming.delete(key);
    };
    promise.then(done, done);
    return promise;
  }

  /**
   * @param {string} key
   * @param {Value} value
   */
  keep(key, value) {
    const before = this.kept.get(key);
    if (before) this.bytes -= before.bytes;
    this.kept.delete(key);
    this.kept.set(key, value);
    this.bytes += value.bytes;
    for (const [oldest, old] of this.kept) {
      if (this.bytes <= this.budgetBytes || oldest === key) break;
      this.kept.delete(oldest);
      this.bytes -= old.bytes;
    }
  }
}

/**
 * @param {Slice} slice
 * @returns {string} other bytes under the same UID, or another identity, are another key
 */
export function versionKey(slice) {
  const identity = slice.correction_id ? `@${slice.correction_id}` : "";
  return `${slice.key}@${slice.digest}${identity}`;
}
