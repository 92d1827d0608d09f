/** The kinds of marks, and what a mark is. */

/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} Mark never changed, only replaced
 * @property {string} mark_id 32 hexadecimal digits
 * @property {string} series_instance_uid
 * @property {string} sop_instance_uid
 * @property {number} frame_number
 * @property {string} digest of the instance it was set on
 * @property {string} kind
 * @property {[number, number][]} points column and row from the upper left corner of the first pixel
 * @property {string} text
 */
/**
 * @typedef {object} Kind
 * @property {string} name
 * @property {number} points how many it has
 * @property {boolean} isMeasuring whether the site can switch it off
 * @property {boolean} hasValues whether it needs the stored values of the frame
 * @property {string} tip what to do, while it is being set
 */

/** @type {Record<string, Kind>} */
export const KINDS = {
  length: { name: "Length", points: 2, isMeasuring: true, hasValues: false, tip: "Set both ends" },
  angle: { name: "Angle", points: 3, isMeasuring: true, hasValues: false, tip: "Set one end, the corner, the other end" },
  cobb: { name: "Cobb angle", points: 4, isMeasuring: true, hasValues: false, tip: "Set both ends of one line, then of the other" },
  ellipse: { name: "Ellipse", points: 2, isMeasuring: true, hasValues: true, tip: "Set two opposite corners around it" },
  rectangle: { name: "Rectangle", points: 2, isMeasuring: true, hasValues: true, tip: "Set two opposite corners" },
  probe: { name: "Value", points: 1, isMeasuring: true, hasValues: true, tip: "Set the pixel" },
  arrow: { name: "Note", points: 2, isMeasuring: false, hasValues: false, tip: "Set what it points at, then where it begins" },
  key: { name: "Key image", points: 0, isMeasuring: false, hasValues: false, tip: "" },
};

export const LONGEST_TEXT = 200;

/**
 * @param {Mark} mark
 * @returns {string} names its frame, as `slice.key` does
 */
export function frameKey(mark) {
  return `${mark.sop_instance_uid}#${mark.frame_number}`;
}

/**
 * @param {Mark} mark
 * @returns {Point[]}
 */
export function pointsOf(mark) {
  return mark.points.map(([x, y]) => ({ x, y }));
}

/**
 * Return a mark with other points.
 * @param {Mark} mark
 * @param {Point[]} points
 * @returns {Mark}
 */
export function withPoints(mark, points) {
  return { ...mark, points: points.map(({ x, y }) => [thousandth(x), thousandth(y)]) };
}

/**
 * @param {number} value
 * @returns {number}
 */
function thousandth(value) {
  return Math.round(value * 1000) / 1000;
}

/**
 * Return a new mark on a slice.
 * @param {string} kind
 * @param {import("./stack.js").Slice} slice
 * @param {Point[]} points
 * @param {string} markId
 * @returns {Mark}
 */
export function newMark(kind, slice, points, markId) {
  const { series_instance_uid, sop_instance_uid, frame_number, digest } = slice;
  return withPoints({ mark_id: markId, series_instance_uid, sop_instance_uid, frame_number, digest, kind, points: [], text: "" }, points);
}

/**
 * @param {Uint8Array} random 16 bytes
 * @returns {string}
 */
export function markId(random) {
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return whether two marks say the same; a mark that is not there is like no other.
 * @param {Mark | undefined} one
 * @param {Mark | undefined} other
 * @returns {boolean}
 */
export function isSame(one, other) {
  if (!one || !other) return one === other;
  return one === other || FIELDS.every((name) => one[name] === other[name]) && String(one.points) === String(other.points);
}

const FIELDS = /** @type {(keyof Mark)[]} */ (["mark_id", "series_instance_uid", "sop_instance_uid", "frame_number", "digest", "kind", "text"]);
