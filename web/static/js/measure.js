/**
 * What may be said of points, lines and areas on a frame. Numbers and arrays only, no page.
 *
 * A point is {x, y} in columns and rows; (0, 0) is the upper left corner of the first pixel, so
 * that the centre of that pixel is (0.5, 0.5). Nothing here is ever stored: it is worked out anew
 * from the frame that is drawn.
 */

import { isCounted, valueAt } from "./area_statistics.js";
import { isHounsfield } from "./windowing.js";

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {"length" | "time and depth" | "time and velocity" | "time and frequency" | "pixels"} ScaleKind
 * @typedef {object} Scale what one pixel to the right and one pixel down mean
 * @property {ScaleKind} kind
 * @property {number} x
 * @property {number} y
 * @property {string} unitX
 * @property {string} unitY
 * @property {string} origin where the scale comes from, in words; "" for one in the patient
 * @property {string} reason why it is only pixels, in words
 * @property {any} region the ultrasound region the first point lies in, or null
 */

/** What is said behind every length, by the origin of Pixel Spacing. */
const ORIGINS = {
  detector: "at detector",
  patient: "",
  calibrated: "calibrated",
  estimated: "approx., estimated",
  unknown: "approx., at detector or unknown",
  none: "uncalibrated",
};
const MM_IN_CM = 10;
const SAME = 1e-6;
const CT_IMAGES = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"];
/** Rescale Type (PS3.3 C.11.1.1.2) as people write it; US is "unspecified". */
const UNITS = { US: "", OD: "OD/1000", HU_MOD: "HU mod.", PCT: "%", MGML: "mg/ml", Z_EFF: "Z eff." };

/**
 * Return the scale that holds for all of some points, pixels when there is none.
 * @param {any} info of the frame
 * @param {Point[]} points
 * @returns {Scale}
 */
export function scaleOf(info, points) {
  if (info.regions && info.regions.length) return regionScale(info.regions, points);
  const spacing = info.pixel_spacing;
  const origin = ORIGINS[/** @type {keyof typeof ORIGINS} */ (spacing.origin)] ?? ORIGINS.none;
  if (!spacing.row || !spacing.column) return inPixels(spacing.refused || "");
  return { kind: "length", x: spacing.column, y: spacing.row, unitX: "mm", unitY: "mm", origin, reason: "", region: null };
}

/**
 * @param {string} reason
 * @param {any} [region]
 * @returns {Scale}
 */
function inPixels(reason, region = null) {
  return { kind: "pixels", x: 1, y: 1, unitX: "px", unitY: "px", origin: ORIGINS.none, reason, region };
}

/**
 * Return the scale of ultrasound regions (PS3.3 C.8.5.5.1), as viewer/ultrasound_regions.py does.
 * @param {any[]} regions
 * @param {Point[]} points
 * @returns {Scale}
 */
function regionScale(regions, points) {
  const found = points.map((point) => regionAt(regions, point));
  const first = found[0];
  if (!first || found.includes(null)) return inPixels("An end lies outside the calibrated regions");
  if (!found.every((region) => region === first || isSameScale(first, region))) return inPixels("The ends lie in regions of different scale", first);
  if (!first.delta_x || !first.delta_y) return inPixels("This region is not calibrated", first);
  const x = Math.abs(first.delta_x);
  const y = Math.abs(first.delta_y);
  const of = { origin: "", reason: "", region: first };
  const units = `${first.spatial_format} ${first.unit_x} ${first.unit_y}`;
  if (units === "2d cm cm") return { kind: "length", x: x * MM_IN_CM, y: y * MM_IN_CM, unitX: "mm", unitY: "mm", ...of };
  if (units === "m-mode s cm") return { kind: "time and depth", x, y: y * MM_IN_CM, unitX: "s", unitY: "mm", ...of };
  if (units === "spectral s cm/s") return { kind: "time and velocity", x, y, unitX: "s", unitY: "cm/s", ...of };
  if (units === "spectral s Hz") return { kind: "time and frequency", x, y, unitX: "s", unitY: "Hz", ...of };
  return inPixels("This region has no units that can be measured here", first);
}

/**
 * Return the region a point lies in: of several one of high priority, then the smallest.
 * @param {any[]} regions
 * @param {Point} point
 * @returns {any}
 */
export function regionAt(regions, point) {
  let best = null;
  for (const region of regions) if (holds(region, point) && (!best || isBefore(region, best))) best = region;
  return best;
}

/**
 * Bounds are whole pixels, both ends included.
 * @param {any} region
 * @param {Point} point
 */
function holds(region, { x, y }) {
  return x >= region.min_x && x <= region.max_x + 1 && y >= region.min_y && y <= region.max_y + 1;
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean}
 */
function isBefore(one, other) {
  if (one.is_low_priority !== other.is_low_priority) return !one.is_low_priority;
  return sizeOf(one) < sizeOf(other);
}

/**
 * @param {any} region
 * @returns {number}
 */
function sizeOf(region) {
  return (region.max_x - region.min_x + 1) * (region.max_y - region.min_y + 1);
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean} a spectrum is never like another
 */
function isSameScale(one, other) {
  if (one.spatial_format !== "2d" || other.spatial_format !== "2d") return false;
  if (one.unit_x !== other.unit_x || one.unit_y !== other.unit_y) return false;
  return isClose(one.delta_x, other.delta_x) && isClose(one.delta_y, other.delta_y);
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {boolean}
 */
function isClose(a, b) {
  return Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b));
}

/**
 * Return the distance between two points; in m-mode and spectra the differences along x and y.
 * @param {any} info
 * @param {Point} a
 * @param {Point} b
 * @returns {{scale: Scale, length: number, differenceX: number, differenceY: number, valuesY: number[]}}
 *   `length` is 0 where there is none; `valuesY` are velocity or frequency at either end
 */
export function lengthOf(info, a, b) {
  const scale = scaleOf(info, [a, b]);
  const differenceX = Math.abs(b.x - a.x) * scale.x;
  const differenceY = Math.abs(b.y - a.y) * scale.y;
  const isLength = scale.kind === "length" || scale.kind === "pixels";
  const isSpectrum = scale.kind === "time and velocity" || scale.kind === "time and frequency";
  return {
    scale,
    length: isLength ? Math.hypot(differenceX, differenceY) : 0,
    differenceX,
    differenceY,
    valuesY: isSpectrum ? [a, b].map((point) => valueY(scale.region, point)).filter(isNumber) : [],
  };
}

/**
 * @param {any} region
 * @param {Point} point
 * @returns {number | null} physical value at a height
 */
function valueY(region, { y }) {
  if (region.reference_y === null) return null;
  return (y - 0.5 - region.min_y - region.reference_y) * region.delta_y + region.reference_value_y;
}

/**
 * @param {number | null} value
 * @returns {value is number}
 */
function isNumber(value) {
  return value !== null;
}

/**
 * Return how wide and high a pixel is, in any common unit; null where an angle means nothing.
 * @param {any} info
 * @param {Point[]} points
 * @returns {Point | null}
 */
function shapeOf(info, points) {
  const scale = scaleOf(info, points);
  if (scale.kind === "length") return { x: scale.x, y: scale.y };
  const isFlat = (/** @type {Point} */ point) => !["m-mode", "spectral", "waveform"].includes(regionAt(info.regions, point)?.spatial_format);
  if (scale.kind !== "pixels" || !points.every(isFlat)) return null;
  const [high, wide] = info.pixel_aspect_ratio || [1, 1];
  return { x: wide, y: high };
}

/**
 * Return the angle at the middle of three points.
 * @param {any} info
 * @param {Point} a
 * @param {Point} vertex
 * @param {Point} b
 * @returns {number | null} degrees, 0 to 180; null when there is none
 */
export function angleOf(info, a, vertex, b) {
  const shape = shapeOf(info, [a, vertex, b]);
  return shape && between(vector(shape, vertex, a), vector(shape, vertex, b));
}

/**
 * Return the angle of two lines (Cobb).
 * @param {any} info
 * @param {Point[]} points ends of the first line, then of the second
 * @returns {number | null} degrees, 0 to 90: lines have no direction; null when there is none
 */
export function cobbOf(info, points) {
  const shape = shapeOf(info, points);
  const angle = shape && between(vector(shape, points[0], points[1]), vector(shape, points[2], points[3]));
  return angle === null ? null : Math.min(angle, 180 - angle);
}

/**
 * @param {Point} shape
 * @param {Point} from
 * @param {Point} to
 * @returns {Point}
 */
function vector(shape, from, to) {
  return { x: (to.x - from.x) * shape.x, y: (to.y - from.y) * shape.y };
}

/**
 * @param {Point} u
 * @param {Point} v
 * @returns {number | null} degrees
 */
function between(u, v) {
  if (Math.hypot(u.x, u.y) === 0 || Math.hypot(v.x, v.y) === 0) return null;
  return (Math.atan2(Math.abs(u.x * v.y - u.y * v.x), u.x * v.x + u.y * v.y) * 180) / Math.PI;
}

/**
 * Return the area of an ellipse or a rectangle.
 * @param {any} info
 * @param {string} kind `ellipse` or `rectangle`
 * @param {Point} a corner of it, or of the rectangle around the ellipse
 * @param {Point} b the corner across
 * @returns {{area: number, unit: string, scale: Scale}} an area of a spectrum is told in pixels
 */
export function areaOf(info, kind, a, b) {
  const found = scaleOf(info, [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }]);
  const isArea = found.kind === "length" || found.kind === "pixels";
  const scale = isArea ? found : inPixels("There are no areas in a spectrum", found.region);
  const box = Math.abs(b.x - a.x) * scale.x * Math.abs(b.y - a.y) * scale.y;
  return { area: kind === "ellipse" ? (box * Math.PI) / 4 : box, unit: `${scale.unitX}²`, scale };
}

/**
 * Return what the pixel under a point holds.
 * @param {{info: any, pixels: ArrayLike<number>}} frame
 * @param {Point} point
 * @returns {{values: number[], isPadding: boolean} | null} modality value, or red, green and
 *   blue; null outside the frame
 */
export function probeOf(frame, point) {
  const { info } = frame;
  const [column, row] = [Math.floor(point.x), Math.floor(point.y)];
  if (column < 0 || row < 0 || column >= info.columns || row >= info.rows) return null;
  const place = row * info.columns + column;
  if (info.kind === "colour") return { values: [0, 1, 2].map((channel) => valueAt(frame, place, channel)), isPadding: false };
  return { values: [valueAt(frame, place, 0)], isPadding: !isCounted(frame, place) };
}

/**
 * Return the unit of modality values: HU only where the standard says that they are.
 *
 * Rescale Type may be absent only from images of CT storage classes, and means HU there; a
 * secondary capture of modality CT has values of no known kind.
 * @param {any} info
 * @returns {string} "" when there is none
 */
export function valueUnit(info) {
  if (info.kind !== "grey") return "";
  const type = info.modality.rescale_type || "";
  if (type) return UNITS[/** @type {keyof typeof UNITS} */ (type)] ?? type.slice(0, 16);
  return isHounsfield(info) && !info.modality.lut && CT_IMAGES.includes(info.sop_class_uid) ? "HU" : "";
}
