/** Frames from the node: every stored value, and the info that says whose they are. */

import { Loads } from "./loads.js";
import { unpacked } from "./packing.js";
import { ask, Refused } from "./page.js";
import { reducedInfo } from "./reduce.js";
import { versionQuery } from "./stack.js";
import { extremes, modalityValue, typedPixels } from "./windowing.js";

/** @typedef {import("./stack.js").Slice} Slice */
/**
 * @typedef {object} Frame a slice with all that is needed to draw it; made from one info object
 * @property {Slice} slice
 * @property {any} info
 * @property {any} pixels typed array; null when there is nothing to draw, or only a preview
 * @property {Reduced | null} [reduced] values of blocks of pixels, to look at while `pixels` is null
 * @property {ImageBitmap | null} preview a small picture under the frame's own window
 * @property {{code: string, message: string} | null} reason why there is nothing to draw
 * @property {number} range largest less smallest modality value; 0 while not known
 * @property {number} bytes
 */
/**
 * @typedef {object} Reduced
 * @property {any} pixels typed array
 * @property {any} info of the frame, with the rows and columns of `pixels`
 * @property {import("./reduce.js").Part} part of the frame that they cover
 * @property {number} step side of a block
 */

/**
 * Chosen so that a tab stays below 300 MB with previews and the page itself, however long the study is; the
 * sheet that each tile paints a large frame on comes on top of it, four bytes a pixel.
 */
const BUDGET_BYTES = 64 * 1024 * 1024;
const REDUCED_BYTES = 24 * 1024 * 1024;
/** Values of neighbours are large, and a preview serves to scroll. */
const AHEAD_SHARE = 1 / 2;

/** An answer that belongs to another frame than the one asked for. It is never drawn. */
export class WrongFrame extends Error {}

/**
 * Frames with every stored value.
 * @extends {Loads<Frame>}
 */
export class FrameStore extends Loads {
  /**
   * @param {import("./read_ahead.js").ReadAhead} readAhead
   * @param {{note: (bytes: number, ms: number) => void}} [speed] learns from what comes
   */
  constructor(readAhead, speed) {
    super((slice, signal) => loadFrame(slice, signal, speed), { budgetBytes: BUDGET_BYTES, aheadShare: AHEAD_SHARE }, readAhead);
  }
}

/**
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @param {{note: (bytes: number, ms: number) => void}} [speed]
 * @returns {Promise<Frame>}
 */
async function loadFrame(slice, signal, speed) {
  const bytes = ask(pixelsUrl(slice), { signal });
  bytes.catch(() => {}); // of a frame that cannot be shown, the info says why
  const info = await (await ask(`${slice.url}/info?${versionQuery(slice)}`, { signal })).json();
  if (!isOf(info, slice)) throw new WrongFrame();
  const nothing = { slice, info, pixels: null, preview: null, range: 0, bytes: 4096 };
  if (info.kind === "none") return { ...nothing, reason: info.reason };
  const answer = await bytes.catch((error) => error);
  if (answer instanceof Refused) return { ...nothing, reason: { code: answer.code, message: answer.message } };
  if (answer instanceof Error) throw answer;
  const pixels = await pixelsOf(answer, slice, info, speed);
  return { ...nothing, pixels, reason: null, range: range(info, pixels), bytes: pixels.byteLength + 4096 };
}

/**
 * @param {Slice} slice
 * @param {number} [step]
 * @returns {string}
 */
function pixelsUrl(slice, step = 1) {
  const reduced = step > 1 ? `&reduce=${step}` : "";
  return `${slice.url}/pixels?v=${slice.digest.slice(0, 16)}&packing=differences${reduced}`;
}

/**
 * @param {Response} answer
 * @param {Slice} slice whose values they must be
 * @param {any} info with the rows and columns they must have
 * @param {{note: (bytes: number, ms: number) => void}} [speed]
 * @returns {Promise<any>} typed array
 */
async function pixelsOf(answer, slice, info, speed) {
  if (answer.headers.get("X-Frame") !== slice.key) throw new WrongFrame();
  const begin = performance.now();
  const bytes = await answer.arrayBuffer();
  if (speed) speed.note(Number(answer.headers.get("Content-Length")), performance.now() - begin);
  const isPacked = answer.headers.get("X-Packing") === "differences";
  const pixels = typedPixels(isPacked ? unpacked(bytes, info.columns) : bytes, info.pixels.dtype);
  if (pixels.length !== info.rows * info.columns * (info.kind === "colour" ? 3 : 1)) throw new WrongFrame();
  return pixels;
}

/**
 * A grey frame to be looked at where it is drawn small.
 * @typedef {Slice & {step: number, info: any}} ReducedSlice `info` is the frame's, as it came with its preview
 */

/**
 * Frames at fewer rows and columns. They are windowed here, and never measured.
 * @extends {Loads<Reduced & {range: number, bytes: number}>}
 */
export class ReducedStore extends Loads {
  /**
   * @param {import("./read_ahead.js").ReadAhead} readAhead
   * @param {{note: (bytes: number, ms: number) => void}} [speed] learns from what comes
   */
  constructor(readAhead, speed) {
    const load = (/** @type {Slice} */ slice, /** @type {AbortSignal} */ signal) => loadReduced(/** @type {ReducedSlice} */ (slice), signal, speed);
    super(load, { budgetBytes: REDUCED_BYTES, aheadShare: 0 }, readAhead);
  }
}

/**
 * @param {ReducedSlice} slice
 * @param {AbortSignal} signal
 * @param {{note: (bytes: number, ms: number) => void}} [speed]
 * @returns {Promise<Reduced & {range: number, bytes: number}>}
 */
async function loadReduced(slice, signal, speed) {
  const { step } = slice;
  if (!isOf(slice.info, slice)) throw new WrongFrame();
  const answer = await ask(pixelsUrl(slice, step), { signal });
  if (answer.headers.get("X-Reduced") !== String(step)) throw new WrongFrame();
  const { info, part } = reducedInfo(slice.info, { x: 0, y: 0, width: slice.info.columns, height: slice.info.rows }, step);
  const pixels = await pixelsOf(answer, slice, info, speed);
  return { pixels, info, part, step, range: range(info, pixels), bytes: pixels.byteLength + 4096 };
}

/**
 * @param {any} info
 * @param {Slice} slice
 * @returns {boolean}
 */
export function isOf(info, slice) {
  return (
    info.sop_instance_uid === slice.sop_instance_uid &&
    info.frame_number === slice.frame_number &&
    info.series_instance_uid === slice.series_instance_uid &&
    info.study_instance_uid === slice.study_instance_uid &&
    (!info.correction || info.correction.correction_id === slice.correction_id)
  );
}

/**
 * @param {any} info
 * @param {ArrayLike<number>} pixels
 * @returns {number}
 */
function range(info, pixels) {
  if (info.kind !== "grey") return 0;
  const [low, high] = extremes(pixels, info.pixel_padding).map((stored) => modalityValue(info.modality, stored));
  return Math.abs(high - low);
}
