/** Where the slices of a series lie in the patient, from what the study says of its stacks. */

import { dot, nearestFrame } from "./planes.js";

/** @typedef {import("./stack.js").Series} Series */
/**
 * @typedef {object} Placed a slice's place
 * @property {string} frameOfReference
 * @property {number[]} normal
 * @property {number} mm along the normal
 */

/** Normals whose cosine is nearer to 1 than this are parallel. */
const PARALLEL = 0.999;

/**
 * @param {any} stack
 * @returns {boolean}
 */
function isPlaced(stack) {
  return Boolean(stack.frame_of_reference_uid && stack.normal && stack.positions_mm.length);
}

/**
 * @param {any} stack
 * @returns {number} its number of slices
 */
function lengthOf(stack) {
  return stack.frames.reduce((/** @type {number} */ sum, /** @type {number[]} */ [, , count]) => sum + count, 0);
}

/**
 * Return where a slice of a series lies.
 * @param {any} series
 * @param {number} index through all stacks
 * @returns {Placed | null} null when that is not known
 */
export function placeOf(series, index) {
  let first = 0;
  for (const stack of series.stacks) {
    const length = lengthOf(stack);
    if (index < first + length) {
      if (!isPlaced(stack)) return null;
      return { frameOfReference: stack.frame_of_reference_uid, normal: stack.normal, mm: stack.positions_mm[index - first] };
    }
    first += length;
  }
  return null;
}

/**
 * @param {any} stack
 * @returns {number} half of the usual step, and a little: within it a frame shows a point
 */
function slackMm(stack) {
  const step = stack.spacing_mm || stack.slice_thickness || 1;
  return 0.5 * Math.max(step, stack.slice_thickness || 0) + 0.01;
}

/**
 * Return the slice of a series that lies nearest to a place of a parallel stack.
 * @param {any} series
 * @param {Placed} place
 * @param {number} now the slice that is shown; its stack is looked at first
 * @returns {number} -1 when no stack is parallel in the same space
 */
export function nearestParallel(series, place, now) {
  return inStacks(series, now, (stack) => {
    const cosine = dot(stack.normal, place.normal);
    if (stack.frame_of_reference_uid !== place.frameOfReference || Math.abs(cosine) < PARALLEL) return -1;
    const mm = place.mm * Math.sign(cosine);
    return nearestFrame([1, 0, 0], stack.positions_mm, [mm, 0, 0], Infinity);
  });
}

/**
 * Return the slice of a series that shows a point.
 * @param {any} series
 * @param {string} frameOfReference of the point
 * @param {number[]} point mm in the patient
 * @param {number} now the slice that is shown; its stack is looked at first
 * @returns {number} -1 when none shows it
 */
export function sliceAt(series, frameOfReference, point, now) {
  return inStacks(series, now, (stack) => {
    if (stack.frame_of_reference_uid !== frameOfReference) return -1;
    return nearestFrame(stack.normal, stack.positions_mm, point, slackMm(stack));
  });
}

/**
 * @param {any} series
 * @param {number} now
 * @param {(stack: any) => number} find
 * @returns {number}
 */
function inStacks(series, now, find) {
  let first = 0;
  let found = -1;
  for (const stack of series.stacks) {
    const length = lengthOf(stack);
    const at = isPlaced(stack) && (found < 0 || (now >= first && now < first + length)) ? find(stack) : -1;
    if (at >= 0) found = first + at;
    first += length;
  }
  return found;
}
