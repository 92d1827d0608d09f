/**
 * Small pictures windowed by the node. They come first and are drawn until the stored values are
 * here; they serve to look, never to measure.
 */

import { isOf, WrongFrame } from "./frames.js";
import { Loads, versionKey } from "./loads.js";
import { ask, timeout } from "./page.js";
import { versionQuery } from "./stack.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {{slice: Slice, info: any, jpeg: Blob | null, bytes: number}} Preview */

const BUDGET_BYTES = 48 * 1024 * 1024;
/** Previews are small: those of a whole stack are kept. */
const AHEAD_SHARE = 0.9;
/** What the info of a frame takes in memory. */
const INFO_BYTES = 8192;
/** Pictures that are ready to be drawn; each takes four bytes a pixel. */
const DRAWABLE = 12;
/** An answer that takes longer does not come any more. */
const WINDOWED_MS = 15000;

/**
 * The first pictures of frames, each in one answer with its info.
 * @extends {Loads<Preview>}
 */
export class PreviewStore extends Loads {
  /**
   * @param {import("./read_ahead.js").ReadAhead} readAhead
   * @param {{note: (bytes: number, ms: number) => void}} [speed] learns from what comes
   */
  constructor(readAhead, speed) {
    super((slice, signal) => loadPreview(slice, signal, speed), { budgetBytes: BUDGET_BYTES, aheadShare: AHEAD_SHARE }, readAhead);
    /**
     * Pictures that need only be drawn, oldest first. Tiles share them, and may draw one after it left:
     * nobody closes a picture.
     * @type {Map<string, Frame>}
     */
    this.drawable = new Map();
    /** @type {Set<string>} what is being made ready */
    this.decoding = new Set();
    /** @type {{key: string, jpeg: Blob, frame: Frame} | null} what came in the page, until it is asked for */
    this.came = null;
  }

  /**
   * Take what came in the page as the answer that would be asked for.
   * @param {import("./first_picture.js").Came} came
   */
  offer({ answer, jpeg, picture }) {
    const { info, digest, correction_id } = answer;
    const key = versionKey({ key: `${info.sop_instance_uid}#${info.frame_number}`, digest, correction_id });
    this.came = { key, jpeg, frame: drawableFrame(/** @type {any} */ (null), info, picture) };
  }

  /**
   * Return a frame that can be drawn at once. What came in the page stands the same tests as an
   * answer that was asked for.
   * @param {Slice} slice
   * @returns {Frame | null}
   */
  ready(slice) {
    const key = versionKey(slice);
    if (this.came && this.came.key === key) this.takeCame(slice, this.came);
    const frame = this.drawable.get(key);
    return frame && isOf(frame.info, slice) ? frame : null;
  }

  /**
   * @param {Slice} slice
   * @param {{key: string, jpeg: Blob, frame: Frame}} came
   */
  takeCame(slice, { key, jpeg, frame }) {
    this.came = null;
    if (!isOf(frame.info, slice)) return;
    this.keep(key, { slice, info: frame.info, jpeg, bytes: jpeg.size + INFO_BYTES });
    this.hold(key, { ...frame, slice });
  }

  /**
   * Make pictures ready that will probably be wanted next and are here: a browser takes a moment to
   * decode one, and a wheel does not wait.
   * @param {Slice[]} slices most wanted first
   */
  prepare(slices) {
    for (const slice of slices.slice(0, DRAWABLE - 2)) {
      const key = versionKey(slice);
      const preview = this.kept.get(key);
      if (!preview || this.drawable.has(key) || this.decoding.has(key)) continue;
      this.decoding.add(key);
      const done = () => this.decoding.delete(key);
      previewFrame(preview).then((frame) => this.hold(key, frame)).then(done, done);
    }
  }

  /**
   * @param {string} key
   * @param {Frame} frame
   */
  hold(key, frame) {
    this.drawable.delete(key);
    this.drawable.set(key, frame);
    for (const oldest of this.drawable.keys()) {
      if (this.drawable.size <= DRAWABLE) break;
      this.drawable.delete(oldest);
    }
  }
}

/**
 * @param {Slice} slice
 * @returns {string}
 */
export function previewUrl(slice) {
  return `${slice.url}/preview?${versionQuery(slice)}`;
}

/**
 * @param {Slice} slice
 * @param {AbortSignal} signal
 * @param {{note: (bytes: number, ms: number) => void}} [speed]
 * @returns {Promise<Preview>}
 */
async function loadPreview(slice, signal, speed) {
  const answer = await ask(previewUrl(slice), { signal });
  if (answer.headers.get("X-Frame") !== slice.key) throw new WrongFrame();
  const begin = performance.now();
  const bytes = await answer.arrayBuffer();
  if (speed) speed.note(bytes.byteLength, performance.now() - begin);
  const length = Number(answer.headers.get("X-Info-Length"));
  const info = JSON.parse(new TextDecoder().decode(bytes.slice(0, length)));
  if (!isOf(info, slice)) throw new WrongFrame();
  const jpeg = bytes.byteLength > length ? new Blob([bytes.slice(length)], { type: "image/jpeg" }) : null;
  return { slice, info, jpeg, bytes: bytes.byteLength + INFO_BYTES };
}

/**
 * @param {Preview} preview
 * @returns {Promise<Frame>} ready to be drawn
 */
export async function previewFrame({ slice, info, jpeg }) {
  return drawableFrame(slice, info, jpeg && (await createImageBitmap(jpeg)));
}

/**
 * @param {Slice} slice
 * @param {any} info
 * @param {ImageBitmap | null} preview
 * @returns {Frame}
 */
function drawableFrame(slice, info, preview) {
  return { slice, info, pixels: null, preview, reason: info.reason, range: 0, bytes: 0 };
}

/**
 * Windows a frame on the node while its values are not here: one request at a time, the last wish
 * wins. A picture on its way when everything was forgotten is never handed on.
 */
export class NodeWindow {
  /** @param {(frame: Frame, voi: Voi, picture: ImageBitmap) => void} onPicture */
  constructor(onPicture) {
    this.onPicture = onPicture;
    this.isBusy = false;
    /** How often everything was forgotten. */
    this.turn = 0;
    /** @type {{frame: Frame, voi: Voi, size: number} | null} */
    this.wish = null;
  }

  /**
   * @param {Frame} frame
   * @param {Voi} voi
   * @param {number} size longest side, device pixels
   */
  ask(frame, voi, size) {
    this.wish = { frame, voi, size };
    if (!this.isBusy) this.next();
  }

  forget() {
    this.turn += 1;
    this.wish = null;
  }

  async next() {
    this.isBusy = true;
    while (this.wish) {
      const { wish, turn } = this;
      this.wish = null;
      try {
        const picture = await windowedOnNode(wish.frame.slice, wish.voi, wish.size);
        if (turn === this.turn) this.onPicture(wish.frame, wish.voi, picture);
        else picture.close(); // nobody has ever seen it
      } catch {
        // the next wish, or the frame's own values, will do
      }
    }
    this.isBusy = false;
  }
}

/**
 * @param {Slice} slice
 * @param {Voi} voi
 * @param {number} size
 * @returns {Promise<ImageBitmap>}
 */
async function windowedOnNode(slice, voi, size) {
  const answer = await ask(windowedUrl(slice, voi, size), { signal: timeout(WINDOWED_MS) });
  if (answer.headers.get("X-Frame") !== slice.key) throw new WrongFrame();
  return createImageBitmap(await answer.blob());
}

/**
 * @param {Slice} slice
 * @param {Voi} voi a window; tables are the node's own choice
 * @param {number} size longest side, device pixels
 * @returns {string}
 */
export function windowedUrl(slice, voi, size) {
  const base =
    `/dicom-web/studies/${slice.study_instance_uid}/series/${slice.series_instance_uid}` +
    `/instances/${slice.sop_instance_uid}/frames/${slice.frame_number}/rendered`;
  const name = voi.kind === "window" ? voi.function.toLowerCase().split("_").join("-") : "";
  const window = voi.kind === "window" ? `&window=${voi.center},${voi.width},${name}` : "";
  return `${base}?viewport=${size},${size}&quality=80${window}&v=${slice.digest.slice(0, 16)}`;
}
