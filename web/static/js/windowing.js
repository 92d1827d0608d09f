/**
 * From stored values to grey levels, by the formulas of PS3.3 C.11. Numbers and arrays only.
 *
 * stored value -> padding -> modality LUT or rescale -> window or VOI LUT -> polarity -> 0..255.
 * A level between two greys is rounded half up, as the node does, so that both show the same.
 */

/**
 * @typedef {{kind: "window", center: number, width: number, function: string}} WindowVoi
 * @typedef {{kind: "voi_lut", index: number}} LutVoi
 * @typedef {WindowVoi | LutVoi} Voi
 * @typedef {{first: number, bits: number, values: number[]}} VoiLut
 * @typedef {object} FrameInfo the parts of a frame's info that decide how it looks
 * @property {{dtype: string, min: number, max: number}} pixels
 * @property {{rescale_slope: number, rescale_intercept: number, rescale_type: string | null,
 *   lut: null | {first: number, values: number[]}}} modality
 * @property {{center: number, width: number, function: string, explanation: string | null}[]} windows
 * @property {VoiLut[]} voi_luts
 * @property {any} initial
 * @property {boolean} invert
 * @property {[number, number] | null} pixel_padding
 * @property {{modality: string}} series
 */

const LEVELS = 255;
/** Widest domain of stored values a table is made for; wider ones are computed pixel by pixel. */
const LARGEST_TABLE = 1 << 17;

/**
 * Return the modality value of a stored value (C.11.1): a LUT if there is one, else rescale.
 * @param {FrameInfo["modality"]} modality
 * @param {number} stored
 * @returns {number}
 */
export function modalityValue(modality, stored) {
  if (modality.lut) return entry(modality.lut, stored);
  return stored * modality.rescale_slope + modality.rescale_intercept;
}

/**
 * Return the entry of a LUT; values outside it take its first or last one (C.11.1.1).
 * @param {{first: number, values: number[]}} lut
 * @param {number} value
 * @returns {number}
 */
function entry(lut, value) {
  const index = Math.floor(value + 0.5) - lut.first;
  return lut.values[Math.min(Math.max(index, 0), lut.values.length - 1)];
}

/**
 * Return a grey level, not rounded, of a modality value under a window (C.11.2.1.2 and .3).
 * @param {WindowVoi} voi
 * @param {number} x modality value
 * @returns {number} 0 to 255
 */
export function windowLevel(voi, x) {
  const { center: c, width: w } = voi;
  if (voi.function === "SIGMOID") return LEVELS / (1 + Math.exp((-4 * (x - c)) / w));
  if (voi.function === "LINEAR" && w >= 1) return ramp(x, c - 0.5, (w - 1) / 2, w - 1);
  return ramp(x, c, w / 2, w); // a linear window narrower than 1 has no formula of its own
}

/**
 * @param {number} x
 * @param {number} middle
 * @param {number} half
 * @param {number} span
 * @returns {number}
 */
function ramp(x, middle, half, span) {
  if (x <= middle - half) return 0;
  if (x > middle + half) return LEVELS;
  return ((x - middle) * LEVELS) / span + LEVELS / 2;
}

/**
 * Return what turns one stored value into its grey level.
 * @param {FrameInfo} info
 * @param {Voi} voi
 * @param {boolean} isInvertedByUser
 * @returns {(stored: number) => number} whole number, 0 to 255
 */
export function greyOf(info, voi, isInvertedByUser) {
  const isInverted = info.invert !== isInvertedByUser;
  const [low, high] = info.pixel_padding || [1, 0];
  const level = voi.kind === "voi_lut" ? lutLevel(info.voi_luts[voi.index]) : (/** @type {number} */ x) => windowLevel(voi, x);
  return (stored) => {
    if ((stored >= low && stored <= high) || !Number.isFinite(stored)) return 0;
    const grey = Math.floor(level(modalityValue(info.modality, stored)) + 0.5);
    return isInverted ? LEVELS - grey : grey;
  };
}

/**
 * @param {VoiLut} lut
 * @returns {(x: number) => number}
 */
function lutLevel(lut) {
  const scale = 2 ** lut.bits - 1;
  return (x) => (entry(lut, x) * LEVELS) / scale;
}

/**
 * Return the grey levels of all stored values of a frame's domain.
 * @param {FrameInfo} info
 * @param {Voi} voi
 * @param {boolean} isInvertedByUser
 * @returns {Uint8Array | null} indexed by stored value - info.pixels.min; null for a domain too wide
 */
export function greyTable(info, voi, isInvertedByUser) {
  const { min, max } = info.pixels;
  if (max - min >= LARGEST_TABLE) return null;
  const grey = greyOf(info, voi, isInvertedByUser);
  const table = new Uint8Array(max - min + 1);
  for (let stored = min; stored <= max; stored += 1) table[stored - min] = grey(stored);
  return table;
}

/**
 * Return what paints stored values as opaque grey pixels; a table is made once for all of them.
 * @param {FrameInfo} info
 * @param {Voi} voi
 * @param {boolean} isInvertedByUser
 * @returns {(stored: ArrayLike<number>, rgba: Uint32Array) => void} writes one little-endian pixel each
 */
export function greyPainter(info, voi, isInvertedByUser) {
  const table = greyTable(info, voi, isInvertedByUser);
  if (!table) {
    const grey = greyOf(info, voi, isInvertedByUser);
    return (stored, rgba) => {
      for (let i = 0; i < rgba.length; i += 1) rgba[i] = greyPixel(grey(stored[i]));
    };
  }
  const pixels = Uint32Array.from(table, greyPixel);
  const min = info.pixels.min;
  return (stored, rgba) => {
    for (let i = 0; i < rgba.length; i += 1) rgba[i] = pixels[stored[i] - min];
  };
}

/**
 * @param {number} grey
 * @returns {number}
 */
function greyPixel(grey) {
  return (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
}

/**
 * Paint RGB samples as opaque pixels; colour knows no window.
 * @param {Uint8Array} rgb
 * @param {boolean} isInvertedByUser
 * @param {Uint32Array} rgba written; one little-endian pixel each
 */
export function paintColour(rgb, isInvertedByUser, rgba) {
  const flip = isInvertedByUser ? 0x00ffffff : 0;
  for (let i = 0, at = 0; i < rgba.length; i += 1, at += 3) {
    rgba[i] = ((0xff000000 | (rgb[at + 2] << 16) | (rgb[at + 1] << 8) | rgb[at]) ^ flip) >>> 0;
  }
}

/**
 * Return the bytes of a frame as an array of its own type.
 * @param {ArrayBuffer} bytes little-endian
 * @param {string} dtype as in `int16` or `rgb8`
 * @returns {Uint8Array | Int8Array | Int16Array | Uint16Array | Int32Array | Uint32Array |
 *   Float32Array | Float64Array}
 */
export function typedPixels(bytes, dtype) {
  const kinds = {
    rgb8: Uint8Array,
    uint8: Uint8Array,
    int8: Int8Array,
    int16: Int16Array,
    uint16: Uint16Array,
    int32: Int32Array,
    uint32: Uint32Array,
    float32: Float32Array,
    float64: Float64Array,
  };
  const Kind = kinds[/** @type {keyof typeof kinds} */ (dtype)];
  if (!Kind) throw new RangeError(`pixels of type ${dtype} are not known`);
  return new Kind(bytes);
}

/**
 * Return how a frame is shown before anyone touched it.
 * @param {FrameInfo} info
 * @returns {Voi}
 */
export function initialVoi(info) {
  const first = info.initial || {};
  if (first.kind === "voi_lut") return { kind: "voi_lut", index: first.index || 0 };
  if (Number.isFinite(first.center)) return asWindow(first);
  const listed = info.windows[first.index || 0];
  return listed ? asWindow(listed) : fullRange(info);
}

/**
 * @param {{center: number, width: number, function?: string}} window
 * @returns {WindowVoi}
 */
export function asWindow(window) {
  return { kind: "window", center: window.center, width: window.width, function: window.function || "LINEAR" };
}

/**
 * @param {FrameInfo} info
 * @returns {WindowVoi}
 */
function fullRange(info) {
  const ends = [info.pixels.min, info.pixels.max].map((stored) => modalityValue(info.modality, stored));
  const low = Math.min(...ends);
  const high = Math.max(...ends);
  return windowBetween(low, high);
}

/**
 * Return the window that shows one value black and another white.
 * @param {number} black
 * @param {number} white
 * @returns {WindowVoi}
 */
export function windowBetween(black, white) {
  return { kind: "window", center: (black + white) / 2 + 0.5, width: white - black + 1, function: "LINEAR" };
}

/**
 * Return the window dragging starts from: a VOI LUT is left for the window over its own domain.
 * @param {FrameInfo} info
 * @param {Voi} voi
 * @returns {WindowVoi}
 */
export function windowToDrag(info, voi) {
  if (voi.kind === "window") return voi;
  const lut = info.voi_luts[voi.index];
  return { kind: "window", center: lut.first + lut.values.length / 2, width: lut.values.length, function: "LINEAR" };
}

/**
 * Return a window after a drag: to the right is wider, upwards is brighter (the centre falls).
 * @param {WindowVoi} start the window when the drag began
 * @param {number} right CSS pixels
 * @param {number} up CSS pixels
 * @param {number} range largest less smallest modality value of the frame, 0 when not known
 * @returns {WindowVoi}
 */
export function draggedWindow(start, right, up, range) {
  const step = Math.max(start.width / 512, range / 4096) || 1;
  const narrowest = start.function === "LINEAR" && start.width >= 1 ? 1 : start.width / 1000;
  const width = Math.max(narrowest, start.width + right * step);
  const digits = decimals(width);
  return { ...start, center: rounded(start.center - up * step, digits), width: rounded(width, digits) };
}

/**
 * Return how many decimals a window of a width is told with: four digits of the width, so that what
 * is read aloud is what is drawn, and a step of a drag is never lost.
 * @param {number} width
 * @returns {number}
 */
export function decimals(width) {
  return Math.max(0, Math.min(12, 3 - Math.floor(Math.log10(width))));
}

/**
 * @param {number} value
 * @param {number} digits after the point
 * @returns {number}
 */
function rounded(value, digits) {
  return Number(value.toFixed(digits));
}

/** Modalities whose values count something: below nothing there is nothing to show. */
const COUNTING = ["NM", "PT"];

/**
 * Return a window that does not reach below 0 where values are counts; its upper end stays.
 * @param {FrameInfo} info
 * @param {WindowVoi} voi
 * @returns {WindowVoi}
 */
export function clampedWindow(info, voi) {
  if (!COUNTING.includes(info.series.modality) || voi.function !== "LINEAR" || voi.width < 1) return voi;
  const lower = voi.center - voi.width / 2;
  if (lower >= 0) return voi;
  const upper = Math.max(1, voi.center + voi.width / 2);
  return { ...voi, center: upper / 2, width: upper };
}

/**
 * Return the smallest and largest stored value of a frame, padding left out.
 * @param {ArrayLike<number>} stored
 * @param {[number, number] | null} padding
 * @returns {[number, number]}
 */
export function extremes(stored, padding) {
  const [low, high] = padding || [1, 0];
  let least = Infinity;
  let most = -Infinity;
  for (let i = 0; i < stored.length; i += 1) {
    const value = stored[i];
    if ((value >= low && value <= high) || !Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : [0, 0];
}

/**
 * Return whether modality values are Hounsfield units: only then do CT presets mean anything.
 * @param {FrameInfo} info
 * @returns {boolean}
 */
export function isHounsfield(info) {
  if (info.series.modality !== "CT") return false;
  return !info.modality.rescale_type || info.modality.rescale_type === "HU";
}
