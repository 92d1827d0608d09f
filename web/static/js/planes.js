/**
 * Planes of frames in the patient: where one cuts another, and where its points lie in others. The
 * node's own rules (viewer.planes). Pixels are (x, y) from the centre of the first one, mm are the
 * patient's.
 */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {number[]} Vector */
/**
 * @typedef {object} Plane the parts of a frame's info that say where it lies
 * @property {number[] | null} image_orientation_patient
 * @property {number[] | null} image_position_patient
 * @property {number[] | null} normal
 * @property {{row: number | null, column: number | null} | null} pixel_spacing
 * @property {number} rows
 * @property {number} columns
 * @property {string} frame_of_reference_uid
 */

/** Planes at less than about three degrees to each other are parallel: their line means nothing. */
const PARALLEL = 0.05;
const TINY = 1e-12;

/**
 * @param {Plane} plane
 * @returns {boolean} whether its place is known at all
 */
export function isPlaced(plane) {
  const { image_orientation_patient, image_position_patient, normal, pixel_spacing } = plane;
  return Boolean(image_orientation_patient && image_position_patient && normal && pixel_spacing && pixel_spacing.row && pixel_spacing.column);
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {number}
 */
export function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/**
 * @param {Vector} a
 * @param {Vector} b
 * @returns {Vector}
 */
function minus(a, b) {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/**
 * @param {Plane} plane
 * @returns {{right: Vector, down: Vector, origin: Vector, column: number, row: number, normal: Vector}}
 */
function axes(plane) {
  const cosines = /** @type {number[]} */ (plane.image_orientation_patient);
  const spacing = /** @type {{row: number, column: number}} */ (plane.pixel_spacing);
  return {
    right: cosines.slice(0, 3),
    down: cosines.slice(3),
    origin: /** @type {number[]} */ (plane.image_position_patient),
    column: spacing.column,
    row: spacing.row,
    normal: /** @type {number[]} */ (plane.normal),
  };
}

/**
 * @param {Plane} plane
 * @param {Point} pixel
 * @returns {Vector} mm in the patient (PS3.3 C.7.6.2.1.1)
 */
export function patientPoint(plane, pixel) {
  const { right, down, origin, column, row } = axes(plane);
  const [along, across] = [pixel.x * column, pixel.y * row];
  return origin.map((start, n) => start + right[n] * along + down[n] * across);
}

/**
 * @param {Plane} plane
 * @param {Vector} point
 * @returns {Point} its foot on the frame
 */
export function pixelOf(plane, point) {
  const { right, down, origin, column, row } = axes(plane);
  const offset = minus(point, origin);
  return { x: dot(right, offset) / column, y: dot(down, offset) / row };
}

/**
 * @param {Plane} plane
 * @param {Vector} point
 * @returns {number} mm along the normal, signed
 */
export function distanceMm(plane, point) {
  const { normal, origin } = axes(plane);
  return dot(normal, minus(point, origin));
}

/**
 * @param {Plane} one
 * @param {Plane} other
 * @returns {boolean} whether places in both may be compared at all
 */
export function shareSpace(one, other) {
  return isPlaced(one) && isPlaced(other) && Boolean(one.frame_of_reference_uid) && one.frame_of_reference_uid === other.frame_of_reference_uid;
}

/**
 * Return the line in which another frame's endless plane cuts a frame.
 * @param {Plane} target the frame the line is drawn on
 * @param {Plane} other the frame whose place is shown
 * @returns {[Point, Point] | null} in pixels of the target, clipped to its outer pixels' edges
 */
export function localizerLine(target, other) {
  if (!shareSpace(target, other)) return null;
  const { normal } = axes(other);
  const { right, down, origin, column, row } = axes(target);
  const a = dot(normal, right) * column;
  const b = dot(normal, down) * row;
  if (Math.hypot(a / column, b / row) < PARALLEL) return null;
  return clipped(a, b, distanceMm(other, origin), target);
}

/**
 * Clip the line a x + b y + c = 0 to a frame.
 * @param {number} a
 * @param {number} b
 * @param {number} c
 * @param {Plane} frame
 * @returns {[Point, Point] | null}
 */
function clipped(a, b, c, { rows, columns }) {
  const size = a * a + b * b;
  const foot = { x: (-a * c) / size, y: (-b * c) / size };
  const along = { x: -b, y: a };
  const x = span(foot.x, along.x, columns - 0.5);
  const y = span(foot.y, along.y, rows - 0.5);
  if (!x || !y) return null;
  const [first, last] = [Math.max(x[0], y[0]), Math.min(x[1], y[1])];
  if (first >= last) return null;
  const at = (/** @type {number} */ way) => ({ x: foot.x + way * along.x, y: foot.y + way * along.y });
  return [at(first), at(last)];
}

/**
 * @param {number} start
 * @param {number} step
 * @param {number} high
 * @returns {[number, number] | null} the ways along a line that lie between -0.5 and `high`
 */
function span(start, step, high) {
  if (Math.abs(step) < TINY) return start >= -0.5 && start <= high ? [-Infinity, Infinity] : null;
  const ends = [(-0.5 - start) / step, (high - start) / step];
  return [Math.min(...ends), Math.max(...ends)];
}

/**
 * Find the frame of a stack that shows a point.
 * @param {Vector} normal of the stack
 * @param {number[]} positionsMm of its frames along the normal
 * @param {Vector} point mm in the patient
 * @param {number} slackMm farther away than this no frame shows it
 * @returns {number} index, -1 when none shows it
 */
export function nearestFrame(normal, positionsMm, point, slackMm) {
  const place = dot(normal, point);
  let best = -1;
  let least = Infinity;
  positionsMm.forEach((mm, index) => {
    const distance = Math.abs(mm - place);
    if (distance < least) [best, least] = [index, distance];
  });
  return least <= slackMm ? best : -1;
}
