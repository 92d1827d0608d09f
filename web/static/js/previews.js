/**
 * Small pictures windowed by the node. They come first and are drawn until the stored values are
 * here; they serve to look, never to measure.
 */

import { isOf, WrongFrame } from "./frames.js";
import { Loads } from "./loads.js";
import { ask, timeout } from "./page.js";
import { versionQuery } from "./stack.js";

/** @typedef {import("./stack.js").Slice} Slice */
/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./windowing.js").Voi} Voi */
/** @typedef {{slice: Slice, info: any, jpeg: Blob | null, bytes: number}} Preview */

const BUDGET_BYTES = 48 * 1024 * 1024;
const AHEAD_AT_ONCE = 1;
/** An answer that takes longer does not come any more. */
const WINDOWED_MS = 15000;

/**
 * The first pictures of frames, each in one answer with its info.
 * @extends {Loads<Preview>}
 */
export class PreviewStore extends Loads {
  /** @param {{note: (bytes: number, ms: number) => void}} [speed] learns from what comes */
  constructor(speed) {
    super((slice, signal) => loadPreview(slice, signal, speed), { budgetBytes: BUDGET_BYTES, aheadAtOnce: AHEAD_AT_ONCE });
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
  return { slice, info, jpeg, bytes: 2 * bytes.byteLength + 2048 };
}

/**
 * @param {Preview} preview
 * @returns {Promise<Frame>} ready to be drawn
 */
export async function previewFrame({ slice, info, jpeg }) {
  const preview = jpeg && (await createImageBitmap(jpeg));
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
