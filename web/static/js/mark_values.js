/** What a mark says, in words made from the frame it lies on. Pure functions, no page. */

import { statisticsOf } from "./area_statistics.js";
import { KINDS, pointsOf } from "./mark_kinds.js";
import { angleOf, areaOf, cobbOf, lengthOf, probeOf, valueUnit } from "./measure.js";

/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./measure.js").Scale} Scale */
/** @typedef {import("./area_statistics.js").Statistics} Statistics */
/** @typedef {{slice: {digest: string}, info: any, pixels: any}} Frame */

export const WAITING = "Waiting for the full image";
export const SETTLING = "Values follow when it rests";
export const OTHER_VERSION = "Made on another version of this image";
const OUTSIDE = "Outside the image";

/**
 * Return whether a mark was made on the very bytes that a frame was read from.
 * @param {Mark} mark
 * @param {{slice: {digest: string}}} frame
 * @returns {boolean}
 */
export function isValid(mark, frame) {
  return mark.digest === frame.slice.digest;
}

/**
 * Return what a mark says of the frame it lies on.
 * @param {Mark} mark
 * @param {Frame} frame
 * @param {(mark: Mark, frame: Frame) => Statistics | null} [statistics] of an area; null while they are worked out
 * @returns {string[]} lines; no values when the mark was made on other bytes, or is not all set
 */
export function linesOf(mark, frame, statistics = statisticsOn) {
  if (!isValid(mark, frame)) return [OTHER_VERSION];
  if (mark.points.length < KINDS[mark.kind].points) return [];
  const points = pointsOf(mark);
  const { info } = frame;
  if (mark.kind === "length") return lengthLines(info, points);
  if (mark.kind === "angle") return [angleWords(angleOf(info, points[0], points[1], points[2]))];
  if (mark.kind === "cobb") return [cobbWords(cobbOf(info, points))];
  if (mark.kind === "arrow") return mark.text ? [mark.text] : [];
  if (!frame.pixels && KINDS[mark.kind].hasValues) return [WAITING];
  if (mark.kind === "probe") return [probeWords(frame, points[0])];
  if (mark.kind === "ellipse" || mark.kind === "rectangle") return areaLines(frame, mark, statistics(mark, frame));
  return [];
}

/**
 * @param {Mark} mark
 * @param {Frame} frame
 * @returns {Statistics}
 */
function statisticsOn(mark, frame) {
  const [a, b] = pointsOf(mark);
  return statisticsOf(frame, mark.kind, a, b);
}

/**
 * @param {any} info
 * @param {import("./measure.js").Point[]} points
 * @returns {string[]}
 */
function lengthLines(info, points) {
  const { scale, length, differenceX, differenceY, valuesY } = lengthOf(info, points[0], points[1]);
  const isLength = scale.kind === "length" || scale.kind === "pixels";
  const apart = `${figure(differenceX)} ${scale.unitX} · ${figure(differenceY)} ${scale.unitY}`;
  const first = isLength ? withOrigin(`${length.toFixed(1)} ${scale.unitX}`, scale) : apart;
  const ends = valuesY.length ? [`From ${figure(valuesY[0])} to ${figure(valuesY[1])} ${scale.unitY}`] : [];
  return [first, ...ends, ...reason(scale)];
}

/**
 * @param {string} words
 * @param {Scale} scale
 * @returns {string}
 */
function withOrigin(words, scale) {
  return scale.origin ? `${words} · ${scale.origin}` : words;
}

/**
 * @param {Scale} scale
 * @returns {string[]}
 */
function reason(scale) {
  return scale.reason ? [scale.reason] : [];
}

/**
 * @param {number | null} degrees
 * @returns {string}
 */
function angleWords(degrees) {
  return degrees === null ? "No angle here" : `${degrees.toFixed(1)}°`;
}

/**
 * Lines have no direction: the angle beside it is as true.
 * @param {number | null} degrees
 * @returns {string}
 */
function cobbWords(degrees) {
  return degrees === null ? "No angle here" : `${degrees.toFixed(1)}° (or ${(180 - degrees).toFixed(1)}°)`;
}

/**
 * @param {Frame} frame
 * @param {import("./measure.js").Point} point
 * @returns {string}
 */
function probeWords(frame, point) {
  const found = probeOf(frame, point);
  if (!found) return OUTSIDE;
  if (found.isPadding) return "Padding, not a value";
  if (found.values.length === 3) return `R ${found.values[0]} G ${found.values[1]} B ${found.values[2]}`;
  return withUnit(figure(found.values[0]), frame.info);
}

/**
 * @param {string} words
 * @param {any} info
 * @returns {string}
 */
function withUnit(words, info) {
  const unit = valueUnit(info);
  return unit ? `${words} ${unit}` : words;
}

/**
 * @param {Frame} frame
 * @param {Mark} mark
 * @param {Statistics | null} statistics
 * @returns {string[]}
 */
function areaLines({ info }, mark, statistics) {
  const [a, b] = pointsOf(mark);
  const { area, unit, scale } = areaOf(info, mark.kind, a, b);
  const size = withOrigin(`Area ${figure(area)} ${unit}`, scale);
  if (!statistics) return [SETTLING, size, ...reason(scale)];
  const { count, padding, isClipped, channels } = statistics;
  const left = padding ? [`${padding} px of padding not counted`] : [];
  return [...channelLines(channels, info), size, isClipped ? `${count} px, partly outside the image` : `${count} px`, ...left, ...reason(scale)];
}

/**
 * @param {import("./area_statistics.js").Channel[]} channels
 * @param {any} info
 * @returns {string[]}
 */
function channelLines(channels, info) {
  if (!channels.length) return ["No values here"];
  if (channels.length === 1) {
    const [{ mean, sd, min, max }] = channels;
    return [`Mean ${withUnit(figure(mean), info)} · SD ${figure(sd)}`, `Min ${figure(min)} · Max ${figure(max)}`];
  }
  return channels.map(({ mean, sd, min, max }, at) => `${"RGB"[at]} mean ${figure(mean)} · SD ${figure(sd)} · ${min} to ${max}`);
}

/**
 * Return a number as precise as it is of use: whole ones whole, large ones to a tenth.
 * @param {number} value
 * @returns {string}
 */
export function figure(value) {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 10 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : String(Number(value.toPrecision(3)));
}
