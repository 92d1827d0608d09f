/** What fingers do that a mouse does not: they rest, tap twice, and come in twos. */

/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./tools.js").Tool} Tool */
/** @typedef {{x: number, y: number}} Point on the page, CSS pixels */

/** A finger that went less far has not moved: skin rolls, and two fingers never land at once. */
const SLOP_PX = 8;
const REST_MS = 600;
const DOUBLE_MS = 350;
const DOUBLE_PX = 30;

/** A finger that was put down and has not moved. */
export class Press {
  /**
   * @param {PointerEvent} event
   * @param {Tool} tool
   * @param {() => void} onRest it stayed; never while points are set, for aiming takes time
   */
  constructor(event, tool, onRest) {
    this.event = event;
    this.tool = tool;
    this.timer = tool.isClick ? 0 : window.setTimeout(onRest, REST_MS);
  }

  /**
   * @param {Point} now
   * @returns {boolean}
   */
  hasMoved({ x, y }) {
    return Math.hypot(x - this.event.clientX, y - this.event.clientY) > SLOP_PX;
  }

  /**
   * @param {{time: number, x: number, y: number}} tap
   * @returns {boolean} whether both make a double tap
   */
  isSecondOf({ time, x, y }) {
    return this.event.timeStamp - time < DOUBLE_MS && Math.hypot(x - this.event.clientX, y - this.event.clientY) < DOUBLE_PX;
  }

  /** It moved, was lifted, or another finger came. */
  leave() {
    clearTimeout(this.timer);
  }
}

/** Two fingers: what is between them stays between them. */
export class TwoFingers {
  /** @param {Tile} tile */
  constructor(tile) {
    this.tile = tile;
    tile.beginDrag();
  }

  /**
   * One of them moved.
   * @param {Point} before
   * @param {Point} now
   * @param {Point} other where the other one is
   */
  moved(before, now, other) {
    const { viewport, canvas } = this.tile;
    const box = canvas.getBoundingClientRect();
    const middle = { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top };
    viewport.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    viewport.zoomBy(distance(now, other) / Math.max(1, distance(before, other)), middle);
  }

  /** @returns {null} no pair any more */
  end() {
    this.tile.endDrag();
    return null;
  }
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {number}
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
