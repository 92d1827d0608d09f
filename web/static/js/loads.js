/** Things loaded from the node: once each, kept within a budget, given up when no longer wanted. */

/** @typedef {import("./stack.js").Slice} Slice */

/** A browser has six connections to a node: two stay free for what is wanted next, and for the page. */
const MOST_AT_ONCE = 4;

/**
 * @template {{bytes: number}} Value
 */
export class Loads {
  /**
   * @param {(slice: Slice, signal: AbortSignal) => Promise<Value>} load
   * @param {{budgetBytes: number, aheadShare: number}} limits what is kept, and which part of it may be
   *   what nobody asked for yet: that must not drive out what is looked at
   * @param {import("./read_ahead.js").ReadAhead} readAhead says when to load ahead
   */
  constructor(load, { budgetBytes, aheadShare }, readAhead) {
    this.load = load;
    this.budgetBytes = budgetBytes;
    this.aheadShare = aheadShare;
    this.readAhead = readAhead;
    readAhead.join(this);
    /** How many somebody waits for. */
    this.awaited = 0;
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
    this.makeWay(versionKey(slice));
    this.awaited += 1;
    const value = this.one(slice);
    const done = () => {
      this.awaited -= 1;
      if (this.wanted.get(owner)?.[0] === slice) this.queue = next.slice(0, this.room());
      this.readAhead.next();
    };
    value.then(done, done);
    return value;
  }

  /**
   * Load what comes next, while the slice that is wanted is here in another form.
   * @param {object} owner
   * @param {Slice[]} next most wanted first
   */
  ahead(owner, next) {
    this.expect(owner, next);
    this.queue = next.slice(0, this.room());
    this.readAhead.next();
  }

  /** @returns {boolean} */
  get isLoadingAhead() {
    return this.queue.length > 0 || this.coming.size > 0;
  }

  /** @returns {number} how many may be loaded ahead, judged by what is here */
  room() {
    const mean = this.kept.size ? this.bytes / this.kept.size : 1;
    return Math.floor((this.budgetBytes * this.aheadShare) / mean);
  }

  /**
   * Leave a connection for what is wanted now: what was begun last is given up.
   * @param {string} key of what is wanted
   */
  makeWay(key) {
    const others = [...this.coming.keys()].filter((one) => one !== key);
    for (const one of others.slice(MOST_AT_ONCE - 1)) this.coming.get(one)?.controller.abort();
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
    const most = Math.min(MOST_AT_ONCE, this.readAhead.allowed(this));
    while (this.coming.size < most && this.queue.length) {
      const slice = /** @type {Slice} */ (this.queue.shift());
      if (!this.has(slice)) this.one(slice).then(() => this.readAhead.next(), (error) => this.failed(error));
    }
  }

  /**
   * What the node refuses is passed over; when it does not answer, nothing more is asked for ahead.
   * @param {any} error
   */
  failed(error) {
    if (error instanceof TypeError) this.queue = [];
    this.readAhead.next();
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
 * @param {{key: string, digest: string, correction_id?: string, step?: number}} slice
 * @returns {string} other bytes under the same UID, another identity, or fewer pixels are another key
 */
export function versionKey(slice) {
  const identity = slice.correction_id ? `@${slice.correction_id}` : "";
  const size = slice.step ? `/${slice.step}` : "";
  return `${slice.key}@${slice.digest}${identity}${size}`;
}
