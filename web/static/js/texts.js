/**
 * The words around a picture: corners, edges, badge, and the banner on top of the page. All of them
 * are made from the info of the very frame that is drawn, in one go, and enter the page as text only.
 */

import { write } from "./page.js";
import { turnedLetters } from "./placement.js";
import { short } from "./text.js";

/**
 * Say on top of the page whose pictures are in the active tile.
 * @param {any} info of the frame that is drawn
 */
export function showBanner(info) {
  const { display } = info;
  const words = {
    "patient-name": display.name,
    "patient-born": display.born,
    "patient-sex": display.sex,
    "patient-id-label": display.patient_id_label,
    "patient-id": display.patient_id,
    "study-what": display.study_description,
    "study-when": display.study_when,
    "study-accession": display.accession,
  };
  for (const [id, text] of Object.entries(words)) write(document.getElementById(id), text);
}

const OF_PICTURE = [
  "corner-name",
  "corner-id",
  "corner-born",
  "corner-study",
  "corner-accession",
  "corner-when",
  "corner-series",
  "corner-place",
  "badge",
  "text-window",
  "text-zoom",
];

/** The texts of one tile; `data-field` says which is where. */
export class TileTexts {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /** @param {string} name @returns {HTMLElement | null} */
  field(name) {
    return this.root.querySelector(`[data-field="${name}"]`);
  }

  /** @param {string} name @param {string} text */
  put(name, text) {
    write(this.field(name), text);
  }

  /** Say whose picture it is. @param {any} info of the frame that is drawn */
  identity(info) {
    const { display } = info;
    this.put("corner-name", display.name);
    this.put("corner-id", `${display.patient_id_label} ${display.patient_id}`);
    this.put("corner-born", `Born ${display.born}`);
    this.put("corner-study", display.study_description);
    this.put("corner-accession", `Accession ${display.accession}`);
    this.put("corner-when", display.study_when);
    this.put("corner-series", display.series);
    this.put("corner-place", display.place);
    this.put("badge", display.fidelity);
    const badge = this.field("badge");
    if (badge) badge.dataset.lossy = String(Boolean(info.lossy.is_lossy));
  }

  /** @param {any} info @param {import("./placement.js").View} view */
  edges(info, view) {
    const letters = turnedLetters(info.orientation_letters, view);
    for (const edge of ["left", "top", "right", "bottom"]) this.put(`edge-${edge}`, letters[edge]);
  }

  /** Forget whose picture it was: nothing is drawn any more. */
  clear() {
    for (const name of OF_PICTURE) this.put(name, "");
    for (const edge of ["left", "top", "right", "bottom"]) this.put(`edge-${edge}`, "");
  }

  /** @param {number} index 0-based @param {number} length @param {boolean} isFrames */
  position(index, length, isFrames) {
    this.put("text-slice", length ? `${isFrames ? "Frame" : "Image"} ${index + 1} of ${length}` : "No images");
  }

  /**
   * @param {any} info
   * @param {import("./windowing.js").Voi | null} voi null for colour
   * @param {boolean} isInverted
   */
  window(info, voi, isInverted) {
    const words = [];
    if (!voi) words.push("Colour");
    else if (voi.kind === "voi_lut") words.push(info.voi_luts[voi.index].explanation || "Table of the file");
    else words.push(`W ${short(voi.width)}  L ${short(voi.center)}`);
    if (isInverted) words.push("inverted");
    this.put("text-window", words.join(" · "));
  }

  /** @param {number} scale device pixels per image pixel */
  zoom(scale) {
    this.put("text-zoom", `Zoom ${Math.round(scale * 100)} %`);
  }

  /**
   * Say in the middle of the tile why there is no picture; "" takes the message away.
   * @param {string} title
   * @param {string} [words]
   */
  message(title, words = "") {
    const box = this.field("refusal");
    if (box) box.hidden = !title;
    this.put("refusal-title", title);
    this.put("refusal-words", words);
  }
}
