/** The page that shows which key does what; it is made from what is registered. */

import { write } from "./page.js";

export class KeyMap {
  /** @param {import("./actions.js").Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.dialog = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
    document.getElementById("close-keys")?.addEventListener("click", () => this.dialog.close());
  }

  open() {
    const list = /** @type {HTMLElement} */ (this.dialog.querySelector("[data-keys]"));
    list.textContent = "";
    for (const { keys, words } of this.actions.map()) list.append(entry(keys, words));
    this.dialog.showModal();
  }
}

/**
 * @param {string[]} keys
 * @param {string} words
 * @returns {HTMLElement}
 */
function entry(keys, words) {
  const box = document.createElement("div");
  const term = document.createElement("dt");
  for (const key of keys) {
    const shown = document.createElement("kbd");
    write(shown, key);
    term.append(shown, " ");
  }
  const meaning = document.createElement("dd");
  write(meaning, words);
  box.append(term, meaning);
  return box;
}
