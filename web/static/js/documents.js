/**
 * Reports, documents, waveforms and videos in a tile: the node's own page of the instance, taken
 * over as it is. The node escapes every text in it, and this page's security policy runs nothing.
 */

import { Refused, write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./frames.js").Frame} Frame */

const FAMILIES = ["report", "key-objects", "document", "model", "waveform", "video"];

/** @param {Viewer} viewer */
export function documents(viewer) {
  viewer.registerDocument((info) => FAMILIES.includes(info.family), showDocument);
}

/**
 * @param {{study_instance_uid: string, series_instance_uid: string, sop_instance_uid: string}} info
 * @returns {string} the path of an instance's pages
 */
export function instancePath({ study_instance_uid, series_instance_uid, sop_instance_uid }) {
  return `/studies/${study_instance_uid}/series/${series_instance_uid}/instances/${sop_instance_uid}`;
}

/**
 * Fetch a page of the node and return the part that says everything.
 * @param {string} address
 * @param {string} sopInstanceUid whose it must be
 * @param {AbortSignal} [signal]
 * @returns {Promise<HTMLElement>}
 */
export async function pagePart(address, sopInstanceUid, signal) {
  const answer = await fetch(address, { signal });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const part = page.getElementById("document");
  if (!answer.ok || !part || part.dataset.sopInstanceUid !== sopInstanceUid) {
    const words = page.querySelector("h1");
    throw new Refused(answer.status, { message: (words && words.textContent) || undefined });
  }
  return document.adoptNode(part);
}

/**
 * @param {Tile} tile
 * @param {Frame} frame
 * @returns {() => void} takes it away
 */
function showDocument(tile, frame) {
  const { documentRoot } = tile;
  const controller = new AbortController();
  documentRoot.className = "document document-tile paper";
  documentRoot.tabIndex = 0;
  documentRoot.textContent = "";
  const uid = frame.info.sop_instance_uid;
  const load = (/** @type {string} */ address) => fill(documentRoot, pagePart(address, uid, controller.signal));
  const follow = (/** @type {Event} */ event) => followPart(event, load);
  documentRoot.addEventListener("click", follow);
  load(`${instancePath(frame.info)}/document`);
  return () => {
    controller.abort();
    documentRoot.removeEventListener("click", follow);
    documentRoot.textContent = "";
  };
}

/**
 * @param {HTMLElement} root
 * @param {Promise<HTMLElement>} coming
 */
async function fill(root, coming) {
  try {
    const part = await coming;
    for (const link of Array.from(part.querySelectorAll("a:not([data-part])"))) {
      link.setAttribute("target", "_blank");
      link.setAttribute("rel", "noopener");
    }
    fillWith(root, part);
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") return;
    const told = document.createElement("p");
    told.className = "refused";
    told.setAttribute("role", "alert");
    write(told, error instanceof Refused ? error.message : "The node does not answer. Choose the image again when it is back.");
    fillWith(root, told);
  }
}

/**
 * Let an element hold one other and nothing else.
 * @param {HTMLElement} root
 * @param {HTMLElement} part
 */
export function fillWith(root, part) {
  root.textContent = "";
  root.append(part);
}

/**
 * Another part of the same object stays in the tile.
 * @param {Event} event
 * @param {(address: string) => void} load
 */
function followPart(event, load) {
  const link = /** @type {Element} */ (event.target).closest("a[data-part]");
  if (!link) return;
  event.preventDefault();
  load(link.getAttribute("href") || "");
}
