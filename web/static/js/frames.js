/** Frames from the node: every stored value, and the info that says whose they are. */

import { Loads } from "./loads.js";
import { ask, Refused } from "./page.js";
import { versionQuery } from "./stack.js";
import { extremes, modalityValue, typedPixels } from "./windowing.js";

/** @typedef {import("./stack.js").Slice} Slice */
/**
 * @typedef {object} Frame a slice with all that is needed to draw it; made from one info object
 * @property {Slice} slice
 * @property {any} info
 * @property {any} pixels typed array; null when there is nothing to draw, or only a preview
 * @property {ImageBitmap | null} preview a small picture under the frame's own window
 * @property {{code: string, message: string} | null} reason why there is nothing to draw
 * @property {number} range largest less smallest modality value; 0 while not known
 * @property {number} bytes
 */

const BUDGET_BYTES = 160 * 1024 * 1024;
const AHEAD_AT_ONCE = 2;

/** An answer that belongs to another frame than the one asked for. It is never drawn. */
export class WrongFrame extends Error {}

/**
 * Frames with every stored value.
 * @extends {Loads<Frame>}
 */
export class FrameStore extends Loads {
  /** @param {{note: (bytes: number, ms: number) => void}} [speed] learns from what comes */
  constructor(speed) {
    super((slice, signal) => loadFrame(slice, signal, speed), { budgetBytes: BUDGET_BYTES, aheadAtOnce: AHEAD_AT_ONCE });
  }
}

/**
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @param {{note: (bytes: number, ms: number) => void}} [speed]
 * @returns {Promise<Frame>}
 */
async function loadFrame(slice, signal, speed) {
  const bytes = ask(`${slice.url}/pixels?v=${slice.digest.slice(0, 16)}`, { signal });
  bytes.catch(() => {}); // of a frame that cannot be shown, the info says why
  const info = await (await ask(`${slice.url}/info?${versionQuery(slice)}`, { signal })).json();
  if (!isOf(info, slice)) throw new WrongFrame();
  const nothing = { slice, info, pixels: null, preview: null, range: 0, bytes: 4096 };
  if (info.kind === "none") return { ...nothing, reason: info.reason };
  const answer = await bytes.catch((error) => error);
  if (answer instanceof Refused) return { ...nothing, reason: { code: answer.code, message: answer.message } };
  if (answer instanceof Error) throw answer;
  if (answer.headers.get("X-Frame") !== slice.key) throw new WrongFrame();
  const begin = performance.now();
  const pixels = typedPixels(await answer.arrayBuffer(), info.pixels.dtype);
  if (speed) speed.note(Number(answer.headers.get("Content-Length")), performance.now() - begin);
  if (pixels.length !== info.rows * info.columns * (info.kind === "colour" ? 3 : 1)) throw new WrongFrame();
  return { ...nothing, pixels, reason: null, range: range(info, pixels), bytes: pixels.byteLength + 4096 };
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
