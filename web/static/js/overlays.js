/** Overlays 60xx: what the scanner drew apart from the pixels, laid over them at their own resolution. */

import { ask } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./frames.js").Frame} Frame */

const WHITE = 0xffffffff;

/**
 * Paint the bits of an overlay as white pixels, the others clear.
 * @param {Uint8Array} bits a bit for each pixel of the frame, the lowest first
 * @param {Uint32Array} rgba changed
 */
export function paintBits(bits, rgba) {
  for (let i = 0; i < rgba.length; i += 1) if ((bits[i >> 3] >> (i & 7)) & 1) rgba[i] = WHITE;
}

/**
 * @param {Frame} frame
 * @returns {Promise<HTMLCanvasElement | null>} all its overlays on one sheet; null without any
 */
async function sheetOf(frame) {
  const { info, slice } = frame;
  const groups = info.overlays.filter((/** @type {any} */ one) => one.is_on_frame).map((/** @type {any} */ one) => one.group);
  if (!groups.length) return null;
  const image = new ImageData(info.columns, info.rows);
  const rgba = new Uint32Array(image.data.buffer);
  for (const group of groups) {
    const answer = await ask(`${slice.url}/overlays/${group}?v=${slice.digest.slice(0, 16)}`);
    if (answer.headers.get("X-Frame") === slice.key) paintBits(new Uint8Array(await answer.arrayBuffer()), rgba);
  }
  const sheet = document.createElement("canvas");
  sheet.width = info.columns;
  sheet.height = info.rows;
  /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d")).putImageData(image, 0, 0);
  return sheet;
}

/** @param {Viewer} viewer */
export function installOverlays(viewer) {
  let isOn = true;
  const lay = async (/** @type {Tile} */ tile) => {
    const { frame, viewport } = tile;
    const isLaid = viewport.overlay && viewport.overlay.key === frame?.slice.key;
    if (!isOn || !isLaid) viewport.overlay = null;
    if (!isOn || isLaid || !frame || frame.reason || !(frame.info.overlays || []).length) return;
    const sheet = await sheetOf(frame).catch(() => null);
    if (!sheet || tile.frame?.slice.key !== frame.slice.key) return;
    viewport.overlay = { key: frame.slice.key, sheet };
    viewport.draw();
  };
  viewer.onTile((tile) => tile.onFrame(() => lay(tile)));
  const toggle = () => {
    isOn = !isOn;
    document.querySelector('button[data-action="overlays"]')?.setAttribute("aria-pressed", String(isOn));
    for (const tile of viewer.tiles) lay(tile).then(() => tile.viewport.draw());
  };
  viewer.registerAction("overlays", toggle);
  viewer.registerKey("#", "Overlays of the scanner", toggle);
}
