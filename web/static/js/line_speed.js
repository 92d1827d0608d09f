/** How fast the line to the node is, learned from what came over it. */

const LEAST_BYTES = 30000;
const SOON_S = 4;
/** Stored values travel packed; they shrink to about this part. */
const PACKED = 0.55;
const LARGE_PIXELS = 6e6;
/** Below this many bytes a second, pictures come before values. */
const SLOW = 500000;
/** As many fit into what previews may take in memory. */
const MOST_PREVIEWS = 1000;

export class LineSpeed {
  /** @param {{saveData?: boolean}} [connection] whether somebody asked to load little */
  constructor(connection) {
    this.isSaving = Boolean(connection && connection.saveData);
    /** @type {number | null} bytes a second, null while not known */
    this.bytesPerSecond = null;
  }

  /**
   * Learn from an answer.
   * @param {number} bytes
   * @param {number} ms from its first to its last byte
   */
  note(bytes, ms) {
    if (!(bytes >= LEAST_BYTES) || !(ms >= 0)) return;
    const speed = (bytes / Math.max(1, ms)) * 1000;
    this.bytesPerSecond = this.bytesPerSecond === null ? speed : 0.7 * this.bytesPerSecond + 0.3 * speed;
  }

  /**
   * Return whether all values of a frame are loaded without being asked for. Very large ones are
   * only when that is known to take moments.
   * @param {any} info
   * @returns {boolean}
   */
  isSoonHere(info) {
    const pixels = info.rows * info.columns;
    if (pixels <= LARGE_PIXELS) return true;
    return this.bytesPerSecond !== null && (pixels * bytesOf(info) * PACKED) / this.bytesPerSecond <= SOON_S;
  }

  /** @returns {{frames: number, previews: number}} how many slices to load ahead */
  ahead() {
    if (this.isSaving) return { frames: 0, previews: 2 };
    return { frames: this.isSlow ? 2 : 12, previews: MOST_PREVIEWS };
  }

  /** @returns {boolean} */
  get isSlow() {
    return this.bytesPerSecond !== null && this.bytesPerSecond < SLOW;
  }

  /** @returns {number} how many may be on their way at once while nobody waits */
  atOnce() {
    return this.isSlow ? 2 : 4;
  }
}

/**
 * @param {any} info
 * @returns {number} of one pixel
 */
function bytesOf(info) {
  if (info.kind === "colour") return 3;
  return Number(/\d+$/.exec(info.pixels?.dtype || "")?.[0] || 16) / 8;
}
