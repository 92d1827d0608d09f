/** A softcopy presentation state as it changes the look of a frame. Pure functions, no page. */

import { pixelShape } from "./placement.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {{sop_instance_uid: string, frame_numbers: number[]}} Reference */

/**
 * @param {Reference[]} references
 * @param {Slice} slice
 * @returns {boolean} whether a slice is among them
 */
export function refersTo(references, slice) {
  return references.some(
    (one) => one.sop_instance_uid === slice.sop_instance_uid && (!one.frame_numbers.length || one.frame_numbers.includes(slice.frame_number)),
  );
}

/**
 * Return a frame under a presentation state: its modality transformation, windows, polarity and
 * shutter replace the frame's own (PS3.3 C.11.8, PS3.4 N.2).
 * @param {Frame} frame
 * @param {any} state
 * @returns {Frame}
 */
export function presented(frame, state) {
  const { info, slice } = frame;
  if (info.kind !== "grey") return frame;
  const voi = state.voi.find((/** @type {any} */ one) => !one.references.length || refersTo(one.references, slice));
  const changes = { modality: modalityOf(state.modality), invert: state.is_inverted, shutter: shutterOf(state.shutter, info) };
  return { ...frame, info: { ...info, ...changes, ...voiOf(voi) } };
}

/**
 * @param {any} modality
 * @returns {any} as a frame's info tells it
 */
function modalityOf(modality) {
  const { slope, intercept, rescale_type, first, values } = modality;
  return { rescale_slope: slope, rescale_intercept: intercept, rescale_type, lut: values && values.length ? { first, values } : null };
}

/**
 * @param {any} voi
 * @returns {any} nothing when the state leaves the window to the frame
 */
function voiOf(voi) {
  if (!voi || !(voi.windows.length || voi.voi_luts.length)) return {};
  const initial = voi.voi_luts.length ? { kind: "voi_lut", index: 0 } : { kind: "window", index: 0, ...voi.windows[0] };
  return { windows: voi.windows, voi_luts: voi.voi_luts, initial };
}

/**
 * @param {any} shutter
 * @param {any} info
 * @returns {any}
 */
function shutterOf(shutter, info) {
  if (!shutter) return null;
  const shape = pixelShape(info);
  return { ...shutter, polygon: shutter.polygon || [], aspect: shape.y / shape.x };
}

/**
 * Return how a state turns a frame. It mirrors after it turned; a view mirrors first.
 * @param {any} state
 * @returns {{turns: number, isFlipped: boolean}}
 */
export function turnsOf(state) {
  const quarters = state.rotation / 90;
  return { turns: state.is_flipped ? (4 - quarters) % 4 : quarters, isFlipped: state.is_flipped };
}

/**
 * @param {any} state
 * @returns {string} what it is called
 */
export function nameOf(state) {
  return state.label || state.description || "without a name";
}
