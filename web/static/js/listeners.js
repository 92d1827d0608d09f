/** Functions that want to know when something happens. */

export class Listeners {
  constructor() {
    /** @type {Set<() => void>} */
    this.acts = new Set();
  }

  /**
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  add(act) {
    const own = () => act();
    this.acts.add(own);
    return () => this.acts.delete(own);
  }

  call() {
    for (const act of [...this.acts]) act();
  }
}
