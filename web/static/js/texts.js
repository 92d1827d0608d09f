/**
 * The words around a picture: banner, corners, edges, badge. All of them are made from the info
 * of the very frame that is drawn, in one go, and enter the page as text only.
 */

import { write } from "./page.js";
import { short } from "./text.js";

/** @param {string} id @param {string} text */
function put(id, text) {
  write(document.getElementById(id), text);
}

/**
 * Say whose picture it is.
 * @param {any} info of the frame that is drawn
 */
export function showIdentity(info) {
  const { display } = info;
  put("patient-name", display.name);
  put("patient-born", display.born);
  put("patient-sex", display.sex);
  put("patient-id-label", display.patient_id_label);
  put("patient-id", display.patient_id);
  put("study-what", display.study_description);
  put("study-when", display.study_when);
  put("study-accession", display.accession);
  put("corner-name", display.name);
  put("corner-id", `${display.patient_id_label} ${display.patient_id}`);
  put("corner-born", `Born ${display.born}`);
  put("corner-study", display.study_description);
  put("corner-accession", `Accession ${display.accession}`);
  put("corner-when", display.study_when);
  put("corner-series", display.series);
  put("corner-place", display.place);
  put("badge", display.fidelity);
  const corrected = document.getElementById("corner-corrected");
  if (corrected) corrected.hidden = !display.corrected;
  put("corner-corrected", display.corrected);
  const badge = document.getElementById("badge");
  if (badge) badge.dataset.lossy = String(Boolean(info.lossy.is_lossy));
  showEdges(info.orientation_letters);
}

/** @param {Record<string, string> | null} letters none when the orientation is not known */
function showEdges(letters) {
  for (const edge of ["left", "top", "right", "bottom"]) put(`edge-${edge}`, letters ? letters[edge] || "" : "");
}

/** Forget whose picture it was: nothing is drawn any more. */
export function clearPicture() {
  for (const id of ["corner-name", "corner-id", "corner-born", "corner-study", "corner-accession", "corner-corrected", "corner-when", "corner-series", "corner-place", "badge", "text-window", "text-zoom"]) put(id, "");
  showEdges(null);
}

/**
 * @param {number} index 0-based
 * @param {number} length
 * @param {boolean} isFrames
 */
export function showPosition(index, length, isFrames) {
  put("text-slice", length ? `${isFrames ? "Frame" : "Image"} ${index + 1} of ${length}` : "No images");
}

/**
 * @param {any} info
 * @param {import("./windowing.js").Voi | null} voi null for colour
 * @param {boolean} isInverted
 */
export function showWindow(info, voi, isInverted) {
  const words = [];
  if (!voi) words.push("Colour");
  else if (voi.kind === "voi_lut") words.push(info.voi_luts[voi.index].explanation || "Table of the file");
  else words.push(`W ${short(voi.width)}  L ${short(voi.center)}`);
  if (isInverted) words.push("inverted");
  put("text-window", words.join(" · "));
}

/** @param {number} scale device pixels per image pixel */
export function showZoom(scale) {
  put("text-zoom", `Zoom ${Math.round(scale * 100)} %`);
}

/**
 * Say in the middle of the tile why there is no picture; "" takes the message away.
 * @param {string} title
 * @param {string} [words]
 */
export function showMessage(title, words = "") {
  const tile = document.getElementById("refusal");
  if (tile) tile.hidden = !title;
  put("refusal-title", title);
  put("refusal-words", words);
}
