/** How fast the line to the node is, learned from what came over it. */

const LEAST_BYTES = 30000;
const SOON_S = 4;
/** Stored values travel packed; they shrink to about this part. */
const PACKED = 0.55;
const LARGE_PIXELS = 6e6;

export class LineSpeed {
  /** @param {PerformanceResourceTiming[]} seen what the page has loaded so far */
  constructor(seen) {
    /** @type {number | null} bytes a second, null while not known */
    this.bytesPerSecond = startSpeed(seen);
  }

  /** Learn from an answer. @param {number} bytes @param {number} ms from its first to its last byte */
  note(bytes, ms) {
    if (bytes < LEAST_BYTES || !(ms > 0)) return;
    const speed = (bytes / ms) * 1000;
    this.bytesPerSecond = this.bytesPerSecond === null ? speed : 0.7 * this.bytesPerSecond + 0.3 * speed;
  }

  /**
   * Return whether all values of a frame take only moments; of very large ones this must be known.
   * @param {any} info
   * @returns {boolean}
   */
  isSoonHere(info) {
    const pixels = info.rows * info.columns;
    if (this.bytesPerSecond === null) return pixels <= LARGE_PIXELS;
    return (pixels * bytesOf(info) * PACKED) / this.bytesPerSecond <= SOON_S;
  }
}

/** @param {any} info @returns {number} of one pixel */
function bytesOf(info) {
  if (info.kind === "colour") return 3;
  return Number(/\d+$/.exec(info.pixels?.dtype || "")?.[0] || 16) / 8;
}

/** @param {PerformanceResourceTiming[]} seen @returns {number | null} */
function startSpeed(seen) {
  const came = seen.filter((one) => one.transferSize > 0 && one.responseEnd > 0);
  const bytes = came.reduce((sum, one) => sum + one.transferSize, 0);
  if (bytes < LEAST_BYTES) return null;
  const first = Math.min(...came.map((one) => one.requestStart));
  const last = Math.max(...came.map((one) => one.responseEnd));
  return (bytes / Math.max(1, last - first)) * 1000;
}
