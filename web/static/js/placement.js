/**
 * Where an image lies on a canvas: size, place, turned and mirrored. Pure functions, no page.
 *
 * Image coordinates are columns and rows, (0, 0) is the upper left corner of the first pixel.
 * Canvas coordinates are device pixels from the canvas' upper left corner.
 */

/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} View how a person looks at an image
 * @property {number | null} zoom device pixels per image pixel along its longer side; null fits
 * @property {Point} pan device pixels from the middle of the canvas
 * @property {number} turns quarter turns clockwise, 0 to 3
 * @property {boolean} isFlipped mirrored left to right, before it is turned
 */
/**
 * @typedef {object} Placement
 * @property {number} left of the drawn box, device pixels
 * @property {number} top
 * @property {number} width of the drawn box, after turning
 * @property {number} height
 * @property {number} scale device pixels per image pixel
 * @property {[number, number, number, number, number, number]} matrix from image to canvas, as
 *   `setTransform` takes it
 */

/** @returns {View} the whole image as it is stored */
export function plainView() {
  return { zoom: null, pan: { x: 0, y: 0 }, turns: 0, isFlipped: false };
}

/**
 * Return how a pixel is stretched so that its shape is right.
 * @param {any} info of a frame
 * @returns {Point}
 */
export function pixelShape(info) {
  const spacing = info.pixel_spacing;
  const tall = spacing && spacing.row && spacing.column ? spacing.row / spacing.column : aspect(info.pixel_aspect_ratio);
  return tall >= 1 ? { x: 1, y: tall } : { x: 1 / tall, y: 1 };
}

/**
 * @param {[number, number] | null} ratio vertical, horizontal
 * @returns {number}
 */
function aspect(ratio) {
  return ratio && ratio[0] > 0 && ratio[1] > 0 ? ratio[0] / ratio[1] : 1;
}

/**
 * Return where an image is drawn.
 * @param {any} info rows, columns and the shape of a pixel
 * @param {View} view
 * @param {{width: number, height: number}} canvas device pixels
 * @returns {Placement}
 */
export function placed(info, view, canvas) {
  const shape = pixelShape(info);
  const isTurned = view.turns % 2 === 1;
  const [wide, high] = [info.columns * shape.x, info.rows * shape.y];
  const [across, down] = isTurned ? [high, wide] : [wide, high];
  const scale = view.zoom === null ? Math.min(canvas.width / across, canvas.height / down) : view.zoom;
  const width = Math.max(1, Math.round(across * scale));
  const height = Math.max(1, Math.round(down * scale));
  const left = Math.round((canvas.width - width) / 2 + view.pan.x);
  const top = Math.round((canvas.height - height) / 2 + view.pan.y);
  const corner = (/** @type {number} */ u, /** @type {number} */ v) => {
    const [x, y] = turned(u, v, view);
    return { x: left + x * width, y: top + y * height };
  };
  return { left, top, width, height, scale, matrix: through(corner(0, 0), corner(1, 0), corner(0, 1), info) };
}

/**
 * @param {number} u
 * @param {number} v
 * @param {View} view
 * @returns {[number, number]} in the drawn box, 0 to 1
 */
function turned(u, v, view) {
  const x = view.isFlipped ? 1 - u : u;
  if (view.turns === 1) return [1 - v, x];
  if (view.turns === 2) return [1 - x, 1 - v];
  if (view.turns === 3) return [v, 1 - x];
  return [x, v];
}

/**
 * @param {Point} origin
 * @param {Point} right where the first row ends
 * @param {Point} down where the first column ends
 * @param {any} info
 * @returns {[number, number, number, number, number, number]}
 */
function through(origin, right, down, info) {
  return [
    (right.x - origin.x) / info.columns,
    (right.y - origin.y) / info.columns,
    (down.x - origin.x) / info.rows,
    (down.y - origin.y) / info.rows,
    origin.x,
    origin.y,
  ];
}

/**
 * @param {Placement["matrix"]} matrix
 * @param {Point} point in the image
 * @returns {Point} on the canvas
 */
export function onCanvas(matrix, { x, y }) {
  const [a, b, c, d, e, f] = matrix;
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

/**
 * @param {Placement["matrix"]} matrix
 * @param {Point} point on the canvas
 * @returns {Point} in the image
 */
export function inImage(matrix, { x, y }) {
  const [a, b, c, d, e, f] = matrix;
  const size = a * d - b * c;
  const [right, down] = [x - e, y - f];
  return { x: (d * right - c * down) / size, y: (a * down - b * right) / size };
}

/**
 * Return where an image lies after it grew about a point.
 * @param {Point} pan before, device pixels from the middle of the canvas
 * @param {Point} still the point that stays, from the middle of the canvas
 * @param {number} grown
 * @returns {Point}
 */
export function aboutPoint(pan, still, grown) {
  return { x: still.x + (pan.x - still.x) * grown, y: still.y + (pan.y - still.y) * grown };
}

/**
 * Return the part of an image that is on the canvas, in whole pixels.
 * @param {Placement["matrix"]} matrix
 * @param {{rows: number, columns: number}} info
 * @param {{width: number, height: number}} canvas
 * @returns {{x: number, y: number, width: number, height: number}} of no size when none is
 */
export function visiblePart(matrix, info, canvas) {
  const ends = [inImage(matrix, { x: 0, y: 0 }), inImage(matrix, { x: canvas.width, y: canvas.height })];
  const between = (/** @type {number} */ value, /** @type {number} */ most) => Math.max(0, Math.min(most, value));
  const x = between(Math.floor(Math.min(ends[0].x, ends[1].x)), info.columns);
  const y = between(Math.floor(Math.min(ends[0].y, ends[1].y)), info.rows);
  const right = between(Math.ceil(Math.max(ends[0].x, ends[1].x)), info.columns);
  const bottom = between(Math.ceil(Math.max(ends[0].y, ends[1].y)), info.rows);
  return { x, y, width: right - x, height: bottom - y };
}

const EDGES = ["left", "top", "right", "bottom"];

/**
 * Return the letters at the edges of a turned image.
 * @param {Record<string, string> | null} letters of the image as stored; null when not known
 * @param {View} view
 * @returns {Record<string, string>} "" where not known
 */
export function turnedLetters(letters, view) {
  const known = letters || {};
  const stored = EDGES.map((edge) => known[edge] || "");
  if (view.isFlipped) [stored[0], stored[2]] = [stored[2], stored[0]];
  /** @type {Record<string, string>} */
  const seen = {};
  EDGES.forEach((_, index) => (seen[EDGES[(index + view.turns) % 4]] = stored[index]));
  return seen;
}
