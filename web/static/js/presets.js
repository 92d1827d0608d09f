/** The windows offered for a frame: the file's own, automatic, and those for Hounsfield units. */

import { asWindow, extremes, initialVoi, isHounsfield, modalityValue, windowBetween } from "./windowing.js";

/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {{id: string, label: string, voi: () => Voi}} Offer */

/**
 * Return the offers for a frame, best known first.
 * @param {any} info
 * @param {ArrayLike<number> | null} pixels null while they are not here
 * @param {{name: string, width: number, center: number, key: string}[]} ctPresets
 * @returns {Offer[]}
 */
export function offers(info, pixels, ctPresets) {
  const own = [
    ...info.voi_luts.map((/** @type {any} */ lut, /** @type {number} */ index) => ({
      id: `lut-${index}`,
      label: lut.explanation || `Table ${index + 1}`,
      voi: () => ({ kind: "voi_lut", index }),
    })),
    ...info.windows.map((/** @type {any} */ window, /** @type {number} */ index) => ({
      id: `own-${index}`,
      label: window.explanation || `Window ${index + 1} of the file`,
      voi: () => asWindow(window),
    })),
  ];
  const fixed = isHounsfield(info) ? ctPresets : [];
  return [
    { id: "default", label: "As the file says", voi: () => initialVoi(info) },
    ...own.slice(own.length > 1 ? 0 : own.length),
    ...(pixels ? [{ id: "auto", label: "Automatic", voi: () => autoWindow(info, pixels) }] : []),
    ...fixed.map((preset) => ({
      id: preset.name,
      label: preset.key ? `${preset.name} (${preset.key})` : preset.name,
      voi: () => asWindow(preset),
    })),
  ];
}

/**
 * Return the window from the 1st to the 99th percentile of a frame, padding left out.
 * @param {any} info
 * @param {ArrayLike<number>} pixels
 * @returns {Voi}
 */
export function autoWindow(info, pixels) {
  const [least, most] = extremes(pixels, info.pixel_padding);
  const [low, high] = percentiles(pixels, least, most).map((stored) => modalityValue(info.modality, stored));
  return windowBetween(Math.min(low, high), Math.max(low, high));
}

/**
 * @param {ArrayLike<number>} pixels
 * @param {number} least
 * @param {number} most
 * @returns {[number, number]} 1st and 99th percentile of the values between the two ends
 */
function percentiles(pixels, least, most) {
  if (most - least > 1 << 20) return [least, most];
  const counts = new Uint32Array(most - least + 1);
  let total = 0;
  for (let i = 0; i < pixels.length; i += 1) {
    const at = pixels[i] - least;
    if (at >= 0 && at < counts.length) {
      counts[at] += 1;
      total += 1;
    }
  }
  return [least + rank(counts, total * 0.01), least + rank(counts, total * 0.99)];
}

/**
 * @param {Uint32Array} counts
 * @param {number} wanted
 * @returns {number}
 */
function rank(counts, wanted) {
  let seen = 0;
  for (let at = 0; at < counts.length; at += 1) {
    seen += counts[at];
    if (seen >= wanted && seen > 0) return at;
  }
  return counts.length - 1;
}
