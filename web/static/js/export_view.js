/** What leaves the viewer: the view as a picture, the original objects, the page to print. */

import { instancePath } from "./documents.js";
import { composeView, IDENTITY_LINES } from "./view_picture.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

/** @param {Viewer} viewer */
export function exportView(viewer) {
  const save = () => openSave(viewer);
  const print = () => window.open(printAddress(viewer), "_blank", "noopener");
  viewer.registerAction("save", save);
  viewer.registerAction("print", print);
  viewer.registerKey("E", "Save this view, the series or the study", save);
  viewer.registerKey("P", "Page to print", print);
}

/**
 * @param {Viewer} viewer
 * @returns {string} the page that prints what the tiles show, each with its window
 */
export function printAddress(viewer) {
  const study = viewer.active.study || viewer.study;
  const shown = viewer.tiles.filter((tile) => tile.frame && !tile.frame.reason && tile.study === study);
  const pictures = shown.map((tile) => `picture=${encodeURIComponent(printed(tile))}`);
  return `/studies/${study.uid}/print?${pictures.join("&")}`;
}

/**
 * @param {Tile} tile
 * @returns {string}
 */
function printed(tile) {
  const frame = /** @type {import("./frames.js").Frame} */ (tile.frame);
  const { series_instance_uid, sop_instance_uid, frame_number } = frame.info;
  const named = `${series_instance_uid}/${sop_instance_uid}/${frame_number}`;
  const voi = tile.voi();
  if (!voi || voi.kind !== "window") return named;
  return `${named}/${voi.center},${voi.width},${voi.function.toLowerCase().replace("_", "-")}`;
}

/** @param {Viewer} viewer */
function openSave(viewer) {
  const tile = viewer.active;
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("save-view"));
  const dialog = /** @type {HTMLDialogElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  const part = (/** @type {string} */ name) => /** @type {any} */ (dialog.querySelector(`[name="${name}"], [data-field="${name}"]`));
  const study = tile.study || viewer.study;
  part("study-zip").href = `/studies/${study.uid}/export.zip`;
  part("series-zip").href = `/studies/${study.uid}/series/${tile.seriesUid}/export.zip`;
  part("object").href = tile.frame ? `/dicom-web${instancePath(tile.frame.info)}?accept=application/dicom` : "";
  part("object").hidden = !tile.frame;
  part("picture").disabled = !tile.frame || Boolean(tile.frame.reason);
  part("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  part("picture").addEventListener("click", async () => {
    const type = part("type").value;
    await saveView(tile, { type, isAnonymous: part("anonymise").checked });
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * Save what a tile shows, its marks included; identity and pixels come from the one frame.
 * @param {Tile} tile
 * @param {{type: string, isAnonymous: boolean}} how
 */
export async function saveView(tile, { type, isAnonymous }) {
  const canvas = await composeView(tile, isAnonymous ? [] : IDENTITY_LINES);
  if (!canvas) return;
  const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ done) => canvas.toBlob(done, type, 0.95));
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = type === "image/png" ? "view.png" : "view.jpg";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
