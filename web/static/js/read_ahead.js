/** When things are loaded that nobody waits for: previews first, then values; nothing while somebody waits. */

/** @typedef {import("./loads.js").Loads<any>} Store */

export class ReadAhead {
  /** @param {() => number} atOnce how many may be on their way at once */
  constructor(atOnce) {
    this.atOnce = atOnce;
    /** @type {Store[]} in the order they are served */
    this.stores = [];
  }

  /**
   * Let a store load ahead, after those that joined before it.
   * @param {Store} store
   */
  join(store) {
    this.stores.push(store);
  }

  /**
   * @param {Store} store
   * @returns {number} how many it may have on their way now
   */
  allowed(store) {
    if (this.stores.some((one) => one.awaited > 0)) return 0;
    const earlier = this.stores.slice(0, this.stores.indexOf(store));
    return earlier.some((one) => one.isLoadingAhead) ? 0 : this.atOnce();
  }

  /** Go on: something came, or was given up. */
  next() {
    for (const store of this.stores) store.pump();
  }
}
