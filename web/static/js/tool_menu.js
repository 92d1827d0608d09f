/**
 * All tools in one place: a finger that rests, a click with the right button, or a key opens it. It
 * has a button for whatever else takes two fingers, a drag or a key.
 */

import { write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

class ToolMenu {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.dialog = /** @type {HTMLDialogElement} */ (document.getElementById("tool-menu"));
    this.isPressedBeside = false;
    this.dialog.addEventListener("pointerdown", (event) => (this.isPressedBeside = event.target === this.dialog));
    this.dialog.addEventListener("click", (event) => this.clicked(/** @type {Element} */ (event.target)));
  }

  open() {
    if (this.dialog.open) return;
    this.isPressedBeside = false; // the finger that opens it is lifted over it
    const { series, slices } = this.viewer.active;
    write(this.dialog.querySelector("[data-words]"), series ? [series.title, `${slices.length} images`].filter(Boolean).join(" · ") : "");
    this.dialog.showModal();
  }

  /**
   * What is done again and again leaves it open; a press beside it closes it.
   * @param {Element} target
   */
  clicked(target) {
    const button = target.closest("button");
    if ((target === this.dialog && this.isPressedBeside) || (button && button.dataset.stays === undefined)) this.dialog.close();
  }
}

/** @param {Viewer} viewer */
export function installToolMenu(viewer) {
  const menu = new ToolMenu(viewer);
  viewer.registerAction("menu", () => menu.open());
  viewer.registerKey("Shift+T", "All tools", () => menu.open());
  const fullScreen = /** @type {HTMLElement | null} */ (document.querySelector("[data-full-screen]"));
  viewer.registerKey("Shift+F", "Full screen", () => fullScreen?.click());
}
