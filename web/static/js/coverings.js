/**
 * What lies over a windowed frame: the colours of a supplemental palette, and the display shutter.
 * Both are the node's own rules (viewer.colour, viewer.shutters), so that a picture is the same
 * whichever of the two draws it.
 */

const TOLERANCE = 1e-9;

/** @typedef {{left: number, right: number, upper: number, lower: number}} Rectangle */
/** @typedef {{row: number, column: number, radius: number}} Circle */
/**
 * @typedef {object} Shutter
 * @property {Rectangle | null} rectangle
 * @property {Circle | null} circle
 * @property {[number, number][]} polygon row and column of each vertex
 * @property {number} grey
 * @property {number} aspect a pixel's height divided by its width
 */

/** @type {WeakMap<object, Int32Array>} by shutter */
const closedRuns = new WeakMap();
/** @type {WeakMap<object, Uint32Array>} by palette */
const colours = new WeakMap();

/**
 * Paint what the frame's info lays over its windowed pixels, or over some of them in a row.
 * @param {ArrayLike<number>} stored
 * @param {any} info
 * @param {Uint32Array} rgba changed; one little-endian pixel each
 * @param {number} [first] which pixel of the frame they begin with
 */
export function paintCoverings(stored, info, rgba, first = 0) {
  if (info.supplemental_palette) paintPalette(stored, info, rgba);
  if (info.shutter) paintShutter(info, rgba, first);
}

/**
 * @param {ArrayLike<number>} stored
 * @param {any} info
 * @param {Uint32Array} rgba
 */
function paintPalette(stored, info, rgba) {
  const palette = info.supplemental_palette;
  const table = remembered(colours, palette, () => paletteColours(palette.rgb));
  const [low, high] = info.pixel_padding || [1, 0];
  for (let i = 0; i < rgba.length; i += 1) {
    const value = stored[i];
    if (value < palette.first || (value >= low && value <= high)) continue;
    rgba[i] = table[Math.min(value - palette.first, table.length - 1)];
  }
}

/**
 * @param {string} digits three bytes a colour, hexadecimal
 * @returns {Uint32Array}
 */
export function paletteColours(digits) {
  const table = new Uint32Array(digits.length / 6);
  for (let n = 0; n < table.length; n += 1) {
    const rgb = parseInt(digits.slice(6 * n, 6 * n + 6), 16);
    table[n] = (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
  }
  return table;
}

/**
 * @param {any} info
 * @param {Uint32Array} rgba
 * @param {number} first which pixel of the frame they begin with
 */
function paintShutter(info, rgba, first) {
  const { shutter, rows, columns } = info;
  const runs = remembered(closedRuns, shutter, () => closedBy(shutter, rows, columns));
  const grey = (0xff000000 | (shutter.grey << 16) | (shutter.grey << 8) | shutter.grey) >>> 0;
  for (let n = 0; n < runs.length; n += 2) rgba.fill(grey, Math.max(0, runs[n] - first), Math.max(0, runs[n + 1] - first));
}

/**
 * Return which pixels a shutter covers, as begins and ends of runs.
 * @param {Shutter} shutter
 * @param {number} rows
 * @param {number} columns
 * @returns {Int32Array}
 */
export function closedBy(shutter, rows, columns) {
  /** @type {number[]} */
  const runs = [];
  const { rectangle, circle, polygon } = shutter;
  const edges = polygon.map((one, n) => ordered(one, polygon[(n + 1) % polygon.length]));
  for (let row = 1; row <= rows; row += 1) {
    const begin = (row - 1) * columns;
    if (rectangle) close(runs, rectangleSpans(rectangle, row), begin, columns);
    if (circle) close(runs, circleSpans(circle, row, shutter.aspect), begin, columns);
    if (edges.length) close(runs, polygonSpans(edges, row), begin, columns);
  }
  return Int32Array.from(runs);
}

/**
 * Note the pixels of a row outside its spans, which hold columns from 1, ends included.
 * @param {number[]} runs
 * @param {[number, number][]} spans
 * @param {number} begin
 * @param {number} columns
 */
function close(runs, spans, begin, columns) {
  let kept = 0;
  for (const [first, last] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const seenFrom = Math.min(columns, Math.max(0, Math.ceil(first - TOLERANCE) - 1));
    if (seenFrom > kept) runs.push(begin + kept, begin + seenFrom);
    kept = Math.max(kept, Math.min(columns, Math.floor(last + TOLERANCE)));
  }
  if (kept < columns) runs.push(begin + kept, begin + columns);
}

/**
 * @param {Rectangle} rectangle
 * @param {number} row
 * @returns {[number, number][]}
 */
function rectangleSpans(rectangle, row) {
  return rectangle.upper <= row && row <= rectangle.lower ? [[rectangle.left, rectangle.right]] : [];
}

/**
 * @param {Circle} circle
 * @param {number} row
 * @param {number} height
 * @returns {[number, number][]}
 */
function circleSpans(circle, row, height) {
  const square = circle.radius ** 2 - ((row - circle.row) * height) ** 2;
  if (square < -TOLERANCE) return [];
  const half = Math.sqrt(Math.max(0, square));
  return [[circle.column - half, circle.column + half]];
}

/**
 * @param {[number, number]} one
 * @param {[number, number]} other
 * @returns {[[number, number], [number, number]]} the upper first
 */
function ordered(one, other) {
  return one[0] < other[0] || (one[0] === other[0] && one[1] <= other[1]) ? [one, other] : [other, one];
}

/**
 * @param {[[number, number], [number, number]][]} edges
 * @param {number} row
 * @returns {[number, number][]}
 */
function polygonSpans(edges, row) {
  /** @type {[number, number][]} */
  const spans = [];
  /** @type {number[]} */
  const uppers = [];
  /** @type {number[]} */
  const lowers = [];
  for (const [[top, upperX], [bottom, lowerX]] of edges) {
    if (row < top || row > bottom) continue;
    if (top === bottom) {
      spans.push([Math.min(upperX, lowerX), Math.max(upperX, lowerX)]);
      continue;
    }
    const crossing = upperX + ((row - top) * (lowerX - upperX)) / (bottom - top);
    if (row < bottom) uppers.push(crossing);
    if (row > top) lowers.push(crossing);
  }
  for (const crossings of [uppers, lowers]) {
    crossings.sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) spans.push([crossings[n], crossings[n + 1]]);
  }
  return spans;
}

/**
 * @template T
 * @param {WeakMap<object, T>} kept
 * @param {object} key
 * @param {() => T} make
 * @returns {T}
 */
function remembered(kept, key, make) {
  const found = kept.get(key);
  if (found !== undefined) return found;
  const made = make();
  kept.set(key, made);
  return made;
}
