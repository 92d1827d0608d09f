/** All elements of the instance that is shown, in a dialogue. */

import { fillWith, instancePath, pagePart } from "./documents.js";
import { bindFilter } from "./element_filter.js";
import { write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

/** @param {Viewer} viewer */
export function tagBrowser(viewer) {
  const open = () => openTags(viewer);
  viewer.registerAction("tags", open);
  viewer.registerKey("X", "All elements of this object", open);
}

/** @param {Viewer} viewer */
async function openTags(viewer) {
  const { frame } = viewer.active;
  if (!frame) return;
  const dialog = newDialog();
  const body = /** @type {HTMLElement} */ (dialog.querySelector(".dialog-body"));
  document.body.append(dialog);
  dialog.showModal();
  try {
    const part = await pagePart(`${instancePath(frame.info)}/tags`, frame.info.sop_instance_uid);
    fillWith(body, part);
    bindFilter(part).focus();
  } catch (error) {
    write(body, error instanceof TypeError ? "The node does not answer." : /** @type {Error} */ (error).message);
  }
}

/** @returns {HTMLDialogElement} empties the page of itself when it is closed */
function newDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "elements-dialog";
  dialog.setAttribute("aria-label", "Elements of this object");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  const head = document.createElement("header");
  head.className = "dialog-head";
  head.append(document.createElement("span"), close);
  const body = document.createElement("div");
  body.className = "dialog-body";
  body.textContent = "Reading";
  dialog.append(head, body);
  dialog.addEventListener("close", () => dialog.remove());
  return dialog;
}
