/** How marks lie on the screen: their lines, what is near a pointer, where a label fits. No page. */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */

const GAP_PX = 12;
const CROSS_PX = 11;
const CROSS_GAP_PX = 4;
const HEAD_PX = 14;
const ARC_STEPS = 48;

/**
 * Return the lines a mark is drawn with.
 * @param {string} kind
 * @param {Point[]} points on the screen; fewer than the kind has while it is being set
 * @returns {Point[][]} one list of points per line
 */
export function linesOn(kind, points) {
  if (kind === "probe") return points.length ? cross(points[0]) : [];
  if (points.length < 2) return [];
  if (kind === "ellipse") return [ellipse(points[0], points[1])];
  if (kind === "rectangle") return [rectangle(points[0], points[1])];
  if (kind === "cobb") return points.length < 4 ? [points.slice(0, 2)] : [points.slice(0, 2), points.slice(2, 4)];
  if (kind === "arrow") return [[points[0], points[1]], head(points[0], points[1])];
  return [points];
}

/**
 * The dashed line that joins the two lines of a Cobb angle.
 * @param {string} kind
 * @param {Point[]} points
 * @returns {Point[][]}
 */
export function dashesOn(kind, points) {
  if (kind !== "cobb" || points.length < 4) return [];
  return [[middle(points[0], points[1]), middle(points[2], points[3])]];
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {Point}
 */
function middle(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/**
 * @param {Point} at
 * @returns {Point[][]} four strokes that leave the pixel itself free
 */
function cross({ x, y }) {
  return [[-1, 0], [1, 0], [0, -1], [0, 1]].map(([u, v]) => [
    { x: x + u * CROSS_GAP_PX, y: y + v * CROSS_GAP_PX },
    { x: x + u * CROSS_PX, y: y + v * CROSS_PX },
  ]);
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {Point[]}
 */
function rectangle(a, b) {
  return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }, a];
}

/**
 * @param {Point} a
 * @param {Point} b corners around it
 * @returns {Point[]}
 */
function ellipse(a, b) {
  const { x, y } = middle(a, b);
  return Array.from({ length: ARC_STEPS + 1 }, (_, step) => {
    const angle = (step * 2 * Math.PI) / ARC_STEPS;
    return { x: x + (Math.abs(b.x - a.x) / 2) * Math.cos(angle), y: y + (Math.abs(b.y - a.y) / 2) * Math.sin(angle) };
  });
}

/**
 * @param {Point} tip
 * @param {Point} tail
 * @returns {Point[]}
 */
function head(tip, tail) {
  const angle = Math.atan2(tail.y - tip.y, tail.x - tip.x);
  const side = (/** @type {number} */ turn) => ({ x: tip.x + HEAD_PX * Math.cos(angle + turn), y: tip.y + HEAD_PX * Math.sin(angle + turn) });
  return [side(0.45), tip, side(-0.45)];
}

/**
 * Return how far a pointer is from the lines of a mark.
 * @param {string} kind
 * @param {Point[]} points on the screen
 * @param {Point} at
 * @returns {number} CSS pixels
 */
export function distanceTo(kind, points, at) {
  let nearest = Infinity;
  for (const line of linesOn(kind, points)) {
    for (let i = 1; i < line.length; i += 1) nearest = Math.min(nearest, toSegment(line[i - 1], line[i], at));
  }
  return nearest;
}

/**
 * @param {Point} a
 * @param {Point} b
 * @param {Point} at
 * @returns {number}
 */
function toSegment(a, b, at) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const along = dx || dy ? ((at.x - a.x) * dx + (at.y - a.y) * dy) / (dx * dx + dy * dy) : 0;
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(a.x + t * dx - at.x, a.y + t * dy - at.y);
}

/**
 * Return which point of a mark is nearest to a pointer.
 * @param {Point[]} points on the screen
 * @param {Point} at
 * @param {number} reach CSS pixels
 * @returns {number} its place, -1 when none is within reach
 */
export function handleAt(points, at, reach) {
  let [best, nearest] = [-1, reach];
  points.forEach((point, index) => {
    const distance = Math.hypot(point.x - at.x, point.y - at.y);
    if (distance <= nearest) [best, nearest] = [index, distance];
  });
  return best;
}

/**
 * Return where a label lies: beside its mark, and where there is room, over no other one.
 * @param {Box} around the lines of its mark on the screen
 * @param {{width: number, height: number}} label
 * @param {{width: number, height: number}} room of the tile
 * @param {Box[]} taken labels and marks that should stay readable
 * @returns {Box}
 */
export function labelPlace(around, label, room, taken) {
  const [left, right] = [around.left - GAP_PX - label.width, around.left + around.width + GAP_PX];
  const [above, below] = [around.top - GAP_PX - label.height, around.top + around.height + GAP_PX];
  const [centre, middle] = [around.left + (around.width - label.width) / 2, around.top + (around.height - label.height) / 2];
  const places = [[right, middle], [left, middle], [centre, below], [centre, above], [right, above], [right, below], [left, above], [left, below]];
  const boxes = places.map(([x, y]) => ({ left: x, top: y, ...label })).filter((box) => isWithin(box, room));
  const covered = (/** @type {Box} */ box) => taken.reduce((sum, other) => sum + overlap(box, other), 0);
  const best = boxes.reduce((found, box) => (!found || covered(box) < covered(found) ? box : found), /** @type {Box | null} */ (null));
  return best || held({ left: right, top: middle, ...label }, room);
}

/**
 * @param {Box} box
 * @param {{width: number, height: number}} room
 * @returns {boolean}
 */
function isWithin({ left, top, width, height }, room) {
  return left >= 0 && top >= 0 && left + width <= room.width && top + height <= room.height;
}

/**
 * @param {Box} one
 * @param {Box} other
 * @returns {number} CSS pixels that both cover
 */
function overlap(one, other) {
  const wide = Math.min(one.left + one.width, other.left + other.width) - Math.max(one.left, other.left);
  const high = Math.min(one.top + one.height, other.top + other.height) - Math.max(one.top, other.top);
  return Math.max(0, wide) * Math.max(0, high);
}

/**
 * Return the box around a mark as it is drawn.
 * @param {string} kind
 * @param {Point[]} points on the screen
 * @returns {Box}
 */
export function boxAround(kind, points) {
  return boxOf(linesOn(kind, points).concat([points]).reduce((all, line) => all.concat(line), []));
}

/**
 * @param {Point[]} points
 * @returns {Box}
 */
function boxOf(points) {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/**
 * @param {Box} box
 * @param {{width: number, height: number}} room
 * @returns {Box} moved into the room
 */
function held(box, room) {
  const between = (/** @type {number} */ value, /** @type {number} */ most) => Math.max(0, Math.min(value, Math.max(0, most)));
  return { ...box, left: between(box.left, room.width - box.width), top: between(box.top, room.height - box.height) };
}

/**
 * @param {Box} box
 * @param {Point} at
 * @returns {boolean}
 */
export function isInBox(box, { x, y }) {
  return x >= box.left && x <= box.left + box.width && y >= box.top && y <= box.top + box.height;
}
