/**
 * The words around a picture: corners, edges, badge, and the banner on top of the page. All of them
 * are made from the info of the very frame that is drawn, in one go, and enter the page as text only.
 */

import { setChip, write } from "./page.js";
import { turnedLetters } from "./placement.js";
import { decimals } from "./windowing.js";

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
  "corner-corrected",
  "corner-study",
  "corner-accession",
  "corner-when",
  "corner-series",
  "corner-place",
  "text-side",
  "text-window",
  "text-zoom",
  "text-turned",
];

/** The texts of one tile; `data-field` says which is where. */
export class TileTexts {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /**
   * @param {string} name
   * @returns {HTMLElement | null}
   */
  field(name) {
    return this.root.querySelector(`[data-field="${name}"]`);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  put(name, text) {
    write(this.field(name), text);
  }

  /**
   * Say whose picture it is, and how true it is.
   * @param {import("./frames.js").Frame} frame that is drawn
   */
  identity(frame) {
    const { display } = frame.info;
    this.put("corner-name", display.name);
    this.put("corner-id", `${display.patient_id_label} ${display.patient_id}`);
    this.put("corner-born", `Born ${display.born}`);
    this.put("corner-corrected", display.corrected);
    this.put("corner-study", display.study_description);
    this.put("corner-accession", `Accession ${display.accession}`);
    this.put("corner-when", display.study_when);
    this.put("corner-series", display.series);
    this.put("corner-place", display.place);
    this.put("text-side", display.side_conflict);
    const { state, words } = fidelity(frame);
    setChip(this.field("badge"), state, words);
  }

  /**
   * @param {any} info
   * @param {import("./placement.js").View} view
   */
  edges(info, view) {
    const letters = turnedLetters(info.orientation_letters, view);
    for (const edge of ["left", "top", "right", "bottom"]) this.put(`edge-${edge}`, letters[edge]);
    const words = [view.turns ? `turned ${90 * view.turns}°` : "", view.isFlipped ? "mirrored" : ""].filter(Boolean).join(", ");
    this.put("text-turned", words && words[0].toUpperCase() + words.slice(1));
  }

  /** Forget whose picture it was: nothing is drawn any more. */
  clear() {
    setChip(this.field("badge"), "", "");
    for (const name of OF_PICTURE) this.put(name, "");
    for (const edge of ["left", "top", "right", "bottom"]) this.put(`edge-${edge}`, "");
  }

  /**
   * @param {number} index 0-based, of the image that is drawn, -1 while none is
   * @param {number} length
   * @param {boolean} isFrames
   */
  position(index, length, isFrames) {
    const what = isFrames ? "Frame" : "Image";
    this.put("text-slice", !length ? "No images" : index < 0 ? "" : `${what} ${index + 1} of ${length}`);
  }

  /** Say that the tile waits for a series: it is not one without images. */
  free() {
    this.put("text-slice", "Choose a series for this tile");
  }

  /** @param {string} words what is on its way; "" when nothing is */
  waiting(words) {
    this.put("text-waiting", words);
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
    else words.push(windowWords(voi));
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

/**
 * Say how true to the source a picture is.
 * @param {import("./frames.js").Frame} frame
 * @returns {{state: "preview" | "final" | "lossy" | "refused", words: string}}
 */
export function fidelity({ info, pixels, reduced, reason }) {
  if (reason) return { state: "refused", words: "No picture" };
  if (!pixels && reduced) return { state: "preview", words: `Preview, ${reduced.step} × ${reduced.step} pixels as one${info.lossy.is_lossy ? ` · ${info.display.fidelity}` : ""}` };
  if (!pixels) return { state: "preview", words: info.display.preview };
  return { state: info.lossy.is_lossy ? "lossy" : "final", words: info.display.fidelity };
}

/**
 * @param {import("./windowing.js").WindowVoi} voi
 * @returns {string} as in "W 400  L 40"
 */
export function windowWords({ width, center }) {
  const told = (/** @type {number} */ value) => String(Number(value.toFixed(Math.max(2, decimals(width)))));
  return `W ${told(width)}  L ${told(center)}`;
}
