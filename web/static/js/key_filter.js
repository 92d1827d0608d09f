/**
 * "Key images only": scrolling, cine, slider and page keys go over key images, and the page says
 * how many others there are for as long as it lasts. Who asks for another image - the jump box, a
 * mark of the list, a linked tile - gets it, and the tile says that it is no key image.
 */

import { write } from "./page.js";
import { slicesOf } from "./stack.js";
import { counted } from "./text.js";

/** @typedef {import("./key_images.js").KeyImages} KeyImages */
/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./tile.js").Tile} Tile */

const NONE = "There are no key images in this study. K marks the image you look at.";
const UNREAD = "Which images are key images is still being read. Try again in a moment.";
const NOT_KNOWN = "Key images only · not known yet for this study, all are shown";
const NONE_LEFT = "No key image is left: all images are shown.";

export class KeyFilter {
  /** @param {KeyImages} keyImages */
  constructor(keyImages) {
    this.keyImages = keyImages;
    this.viewer = keyImages.marks.viewer;
    this.isOn = false;
    this.ribbon = /** @type {HTMLElement} */ (document.getElementById("only-keys"));
    this.viewer.registerAction("only-keys", () => this.toggle());
    this.viewer.registerKey("Shift+K", "Key images only, all images", () => this.toggle());
    this.viewer.onTile((tile) => this.join(tile));
  }

  /** @param {Tile} tile a new one */
  join(tile) {
    tile.filter = this.isOn ? (slice) => this.keyImages.isLetThrough(slice) : null;
    tile.onSlice(() => this.isOn && this.showTile(tile));
  }

  toggle() {
    const study = this.viewer.active.study || this.viewer.study;
    if (!this.isOn && !this.count(study).shown) return this.viewer.say(this.keyImages.isKnown(study.uid) ? NONE : UNREAD);
    this.set(!this.isOn);
    if (this.isOn) this.goToKeys();
  }

  /** @param {boolean} isOn */
  set(isOn) {
    this.isOn = isOn;
    for (const tile of this.viewer.tiles) tile.filter = isOn ? (slice) => this.keyImages.isLetThrough(slice) : null;
    for (const button of document.querySelectorAll('button[data-action="only-keys"][aria-pressed]')) button.setAttribute("aria-pressed", String(isOn));
    this.keyImages.marks.panel.filter(isOn);
    this.show();
  }

  /** Every tile whose series has key images goes to the nearest; the active one looks in other series too. */
  goToKeys() {
    const { viewer } = this;
    for (const tile of viewer.tiles) if (tile.slice && !this.keyImages.isLetThrough(tile.slice)) tile.scrollTo(tile.index);
    const { active } = viewer;
    if (!active.study || active.slices.some((slice) => this.keyImages.isKey(slice))) return;
    const { study } = active;
    viewer.chooseSeries(study.series.findIndex((series) => slicesOf(study.uid, series).some((slice) => this.keyImages.isKey(slice))));
  }

  /** Say what is hidden, on top of the page and in each tile. */
  show() {
    const studies = [...this.viewer.studies.values()];
    if (this.isOn && studies.every((study) => this.keyImages.isKnown(study.uid) && !this.count(study).shown)) {
      this.viewer.say(NONE_LEFT);
      return this.set(false);
    }
    this.ribbon.hidden = !this.isOn;
    for (const tile of this.viewer.tiles) this.showTile(tile);
    if (!this.isOn) return;
    const { shown, hidden } = this.count(this.viewer.active.study || this.viewer.study);
    write(this.ribbon.querySelector("[data-words]"), `Key images only: ${shown} of the ${counted(shown + hidden, "image")} of this study. ${hidden} hidden.`);
  }

  /** @param {Tile} tile */
  showTile(tile) {
    tile.texts.put("text-filter", this.isOn && tile.slices.length ? this.words(tile) : "");
  }

  /**
   * @param {Tile} tile
   * @returns {string}
   */
  words({ slices, slice, study }) {
    if (!this.keyImages.isKnown(study?.uid || "")) return NOT_KNOWN;
    const shown = slices.filter((one) => this.keyImages.isKey(one)).length;
    if (!shown) return `Key images only · none in this series, ${slices.length} hidden`;
    const words = `Key images only · ${slices.length - shown} of ${slices.length} hidden`;
    return !slice || this.keyImages.isKey(slice) ? words : `${words} · this is none`;
  }

  /**
   * @param {import("./study.js").Study} study
   * @returns {{shown: number, hidden: number}} of its images
   */
  count(study) {
    const pictures = study.series.filter((series) => series.instances.some((/** @type {any} */ one) => one.rows));
    const slices = pictures.flatMap((series) => slicesOf(study.uid, series));
    const shown = slices.filter((slice) => this.keyImages.isKey(slice)).length;
    return { shown, hidden: slices.length - shown };
  }
}
