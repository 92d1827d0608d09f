/**
 * A part of a frame at fewer pixels, to be windowed quickly while something moves. What stands still
 * is always drawn from every value.
 */

/** @typedef {{x: number, y: number, width: number, height: number}} Part */

/**
 * Return how many pixels of a frame may stand for one while it is drawn at a scale.
 * @param {number} scale device pixels per image pixel
 * @returns {number} 1 or more
 */
export function stepFor(scale) {
  return Math.max(1, Math.floor(1 / scale + 0.05));
}

/**
 * Return a part of a frame with blocks of pixels made one: their mean, or one of them where a mean
 * would mean nothing, as of a palette's numbers. Padding counts only where a block holds nothing else.
 * @param {any} pixels typed array of the frame
 * @param {any} info
 * @param {Part} part whole pixels
 * @param {number} step side of a block
 * @returns {{pixels: any, info: any, part: Part}} `info` fits `pixels`; `part` is what they cover
 */
export function reduced(pixels, info, part, step) {
  const small = reducedInfo(info, part, step);
  const { rows, columns } = small.info;
  const samples = info.kind === "colour" ? 3 : 1;
  const isMean = samples === 1 && step > 1 && !info.supplemental_palette && !/^float/.test(info.pixels.dtype);
  const found = new pixels.constructor(rows * columns * samples);
  const source = { pixels, columns: info.columns, rows: info.rows };
  if (isMean) means(source, part, step, { pixels: found, columns, rows }, info.pixel_padding || [1, 0]);
  else picks(source, part, step, { pixels: found, columns, rows }, samples);
  return { pixels: found, ...small };
}

/**
 * Return the info that fits a part of a frame when blocks of its pixels are made one.
 * @param {any} info
 * @param {Part} part whole pixels
 * @param {number} step side of a block
 * @returns {{info: any, part: Part}} `part` is what the blocks cover
 */
export function reducedInfo(info, part, step) {
  const columns = Math.ceil(part.width / step);
  const rows = Math.ceil(part.height / step);
  const shutter = info.shutter && movedShutter(info.shutter, part, step);
  return { info: { ...info, rows, columns, shutter }, part: { ...part, width: columns * step, height: rows * step } };
}

/** @typedef {{pixels: any, columns: number, rows: number}} Grid */

/**
 * @param {Grid} source
 * @param {Part} part
 * @param {number} step
 * @param {Grid} found written
 * @param {number} samples of a pixel
 */
function picks(source, part, step, found, samples) {
  const middle = step >> 1;
  let to = 0;
  for (let row = 0; row < found.rows; row += 1) {
    const y = Math.min(source.rows - 1, part.y + row * step + middle);
    for (let column = 0; column < found.columns; column += 1) {
      const x = Math.min(source.columns - 1, part.x + column * step + middle);
      const from = (y * source.columns + x) * samples;
      for (let sample = 0; sample < samples; sample += 1) found.pixels[to++] = source.pixels[from + sample];
    }
  }
}

/**
 * @param {Grid} source
 * @param {Part} part
 * @param {number} step
 * @param {Grid} found written
 * @param {[number, number]} padding smallest and largest value of it; none when the first is larger
 */
function means(source, part, step, found, padding) {
  const [low, high] = padding;
  const sums = new Float64Array(found.columns);
  const counts = new Uint16Array(found.columns);
  for (let row = 0; row < found.rows; row += 1) {
    sums.fill(0);
    counts.fill(0);
    const bottom = Math.min(part.y + (row + 1) * step, source.rows);
    for (let y = part.y + row * step; y < bottom; y += 1) addRow(source, y, part.x, step, sums, counts, padding);
    const to = row * found.columns;
    for (let column = 0; column < found.columns; column += 1) {
      const mean = Math.round(sums[column] / counts[column]);
      if (!counts[column]) found.pixels[to + column] = source.pixels[(part.y + row * step) * source.columns + part.x + column * step];
      else found.pixels[to + column] = mean >= low && mean <= high ? Math.floor(high) + 1 : mean; // of values on both sides of it
    }
  }
}

/**
 * @param {Grid} source
 * @param {number} y
 * @param {number} x first column
 * @param {number} step
 * @param {Float64Array} sums added to
 * @param {Uint16Array} counts added to
 * @param {[number, number]} padding
 */
function addRow(source, y, x, step, sums, counts, [low, high]) {
  const { pixels } = source;
  let from = y * source.columns + x;
  const end = (y + 1) * source.columns;
  for (let column = 0; column < sums.length && from < end; column += 1) {
    const last = Math.min(from + step, end);
    for (; from < last; from += 1) {
      const value = pixels[from];
      if (value >= low && value <= high) continue;
      sums[column] += value;
      counts[column] += 1;
    }
  }
}

/**
 * Return a shutter in the rows and columns of a reduced part.
 * @param {import("./coverings.js").Shutter} shutter
 * @param {Part} part
 * @param {number} step
 * @returns {import("./coverings.js").Shutter}
 */
function movedShutter(shutter, part, step) {
  // rows and columns of a shutter are counted from 1, at the middle of a pixel
  const across = (/** @type {number} */ column) => (column - 0.5 - part.x) / step + 0.5;
  const down = (/** @type {number} */ row) => (row - 0.5 - part.y) / step + 0.5;
  const { rectangle, circle, polygon } = shutter;
  return {
    ...shutter,
    rectangle: rectangle && { left: across(rectangle.left), right: across(rectangle.right), upper: down(rectangle.upper), lower: down(rectangle.lower) },
    circle: circle && { row: down(circle.row), column: across(circle.column), radius: circle.radius / step },
    polygon: polygon.map(([row, column]) => /** @type {[number, number]} */ ([down(row), across(column)])),
  };
}
