/** The strip of series: a thumbnail, a name and a count each; the chosen one is marked. */

import { drawn, write } from "./page.js";
import { hasFrames } from "./stack.js";
import { counted } from "./text.js";

/** @typedef {import("./stack.js").Series} Series */

export class Strip {
  /**
   * @param {HTMLElement} list
   * @param {(index: number) => void} onChoose
   */
  constructor(list, onChoose) {
    this.list = list;
    this.studyUid = "";
    this.template = /** @type {HTMLTemplateElement} */ (document.getElementById("series-tile"));
    list.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button");
      if (button) onChoose([...list.children].indexOf(/** @type {Element} */ (button.parentElement)));
    });
  }

  /**
   * @param {import("./study.js").Study} study
   * @param {number} chosen place of the series that is shown
   */
  show(study, chosen) {
    if (study.uid !== this.studyUid) this.list.textContent = "";
    this.studyUid = study.uid;
    study.series.forEach((one, index) => {
      const tile = this.tile(one, index);
      const number = one.series_number === null ? "–" : String(one.series_number);
      write(tile.querySelector('[data-field="number"]'), number);
      write(tile.querySelector('[data-field="modality"]'), one.modality);
      write(tile.querySelector('[data-field="title"]'), one.title);
      write(tile.querySelector('[data-field="count"]'), counted(frames(one), hasFrames(one) ? "frame" : "image"));
      const warning = /** @type {HTMLElement} */ (tile.querySelector('[data-field="warning"]'));
      warning.hidden = one.warnings.length === 0;
      write(warning.querySelector("[data-words]"), one.warnings[0] || "");
    });
    this.mark(chosen);
  }

  /**
   * @param {Series} series
   * @param {number} index
   * @returns {Element}
   */
  tile(series, index) {
    const uid = series.series_instance_uid;
    const found = [...this.list.children].find((tile) => tile.getAttribute("data-series") === uid);
    const tile = found || /** @type {Element} */ (this.template.content.firstElementChild?.cloneNode(true));
    if (!found) {
      tile.setAttribute("data-series", uid);
      this.thumbnail(tile, series);
    }
    if (this.list.children[index] !== tile) this.list.insertBefore(tile, this.list.children[index] || null);
    return tile;
  }

  /**
   * @param {Element} tile
   * @param {Series} series
   */
  thumbnail(tile, series) {
    const image = /** @type {HTMLImageElement} */ (tile.querySelector("img"));
    const middle = series.instances[Math.floor(series.instances.length / 2)];
    image.addEventListener("error", () => image.remove());
    image.src =
      `/dicom-web/studies/${this.studyUid}/series/${series.series_instance_uid}` +
      drawn(`/instances/${middle.sop_instance_uid}/thumbnail?v=${middle.digest.slice(0, 16)}`);
  }

  /** @param {number} chosen */
  mark(chosen) {
    [...this.list.children].forEach((tile, index) => {
      const button = /** @type {HTMLElement} */ (tile.querySelector("button"));
      const isNew = button.getAttribute("aria-pressed") !== String(index === chosen);
      button.setAttribute("aria-pressed", String(index === chosen));
      if (index === chosen && isNew) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }
}

/**
 * @param {Series} series
 * @returns {number}
 */
function frames(series) {
  return series.instances.reduce((sum, instance) => sum + Math.max(1, instance.number_of_frames), 0);
}
