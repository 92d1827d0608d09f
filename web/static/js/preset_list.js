/** The list of windows for the picture in the active tile. */

import { offers } from "./presets.js";

/** @typedef {import("./tile.js").Tile} Tile */

export class PresetList {
  /** @param {{active: Tile}} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.select = /** @type {HTMLSelectElement} */ (document.getElementById("preset"));
    this.ctPresets = JSON.parse(document.body.dataset.presets || "[]");
    /** @type {import("./presets.js").Offer[]} */
    this.offers = [];
    this.select.addEventListener("change", () => this.choose(this.select.value));
  }

  /** @param {Tile} tile */
  show(tile) {
    const { frame } = tile;
    this.offers = frame && frame.info.kind === "grey" ? offers(frame.info, frame.pixels, this.ctPresets) : [];
    this.select.disabled = this.offers.length === 0;
    const ids = this.offers.map((offer) => offer.id + offer.label).join();
    if (this.select.dataset.offers !== ids) {
      this.select.dataset.offers = ids;
      const options = this.offers.map((offer) => new Option(offer.label, offer.id));
      this.select.textContent = "";
      this.select.append(...(options.length ? options : [new Option(frame ? "Colour" : "Window", "default")]));
    }
    this.select.value = this.chosenId(tile);
  }

  /**
   * @param {Tile} tile
   * @returns {string} "" for a window set by hand
   */
  chosenId(tile) {
    const chosen = tile.touched.get(tile.seriesUid);
    if (!chosen) return "default";
    const found = this.offers.find((offer) => offer.id !== "auto" && JSON.stringify(offer.voi()) === JSON.stringify(chosen));
    return found ? found.id : "";
  }

  /** @param {string} id */
  choose(id) {
    const offer = this.offers.find((one) => one.id === id);
    if (!offer) return;
    this.viewer.active.chooseWindow(id === "default" ? null : offer.voi());
    this.select.value = id;
  }

  /** @param {number} digit 0 is the file's own window */
  key(digit) {
    const wanted = this.ctPresets.find((/** @type {any} */ preset) => preset.key === String(digit));
    this.choose(digit === 0 ? "default" : wanted?.name);
  }
}
