/** Whose pictures are side by side, told by what is drawn. */

import { write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

/**
 * @param {Tile} tile
 * @returns {string} "" while nothing is drawn
 */
export function patientOf(tile) {
  if (!tile.frame) return "";
  const { patient_id, patient_name, patient_birth_date } = tile.frame.info.patient;
  const issuer = tile.study?.facts?.issuer_of_patient_id || "";
  return [patient_id, issuer, patient_name, patient_birth_date].map((part) => part.trim()).join("\n");
}

/**
 * @param {Tile[]} tiles
 * @returns {boolean}
 */
export function areTwoPatients(tiles) {
  return new Set(tiles.map(patientOf).filter(Boolean)).size > 1;
}

/** @param {Viewer} viewer */
export function watchPatients(viewer) {
  const strip = /** @type {HTMLElement} */ (document.getElementById("two-patients"));
  viewer.onDrawn(() => {
    const isTwo = areTwoPatients(viewer.tiles);
    strip.hidden = !isTwo;
    viewer.stage.dataset.twoPatients = String(isTwo);
    if (!isTwo) return;
    const names = new Set(viewer.tiles.filter((tile) => tile.frame).map((tile) => tile.frame?.info.display.name));
    write(strip.querySelector("[data-words]"), `TWO PATIENTS · ${[...names].join(" · ")}`);
  });
}
