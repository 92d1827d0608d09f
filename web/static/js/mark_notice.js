/** One line over the tiles: what a tool wants, what was taken away and can be brought back, what is wrong. */

import { write } from "./page.js";

export class MarkNotice {
  constructor() {
    this.box = /** @type {HTMLElement} */ (document.getElementById("marks-notice"));
    this.undo = /** @type {HTMLElement} */ (this.box.querySelector('[data-action="undo-mark"]'));
    this.isTrouble = false;
  }

  /** @param {string} words */
  tip(words) {
    this.put(words, { canUndo: false, isTrouble: false });
  }

  /** It is no longer of use once something is being set. */
  hideTip() {
    if (!this.isTrouble && this.undo.hidden) this.hide();
  }

  /** @param {string} words */
  offerUndo(words) {
    this.put(words, { canUndo: true, isTrouble: false });
  }

  /** @param {string} words */
  trouble(words) {
    this.put(words, { canUndo: false, isTrouble: true });
  }

  clearTrouble() {
    if (this.isTrouble) this.hide();
  }

  hide() {
    this.put("", { canUndo: false, isTrouble: false });
  }

  /**
   * @param {string} words
   * @param {{canUndo: boolean, isTrouble: boolean}} how
   */
  put(words, { canUndo, isTrouble }) {
    this.isTrouble = isTrouble;
    write(this.box.querySelector("[data-words]"), words);
    this.box.dataset.state = isTrouble ? "attention" : "none";
    this.undo.hidden = !canUndo;
    this.box.hidden = !words;
  }
}
