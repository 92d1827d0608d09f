/**
 * Choosing a mark and moving its points. A press on a chosen mark is taken before the tool of the
 * tile sees it; a point that was clicked is picked up, and the next click sets it down.
 */

import { CLICK_PX, held } from "./mark_drafting.js";
import { pointsOf, withPoints } from "./mark_kinds.js";
import { isValid } from "./mark_values.js";
import { distanceTo, handleAt } from "./mark_shapes.js";

/** @typedef {import("./mark_kinds.js").Point} Point */
/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./mark_layer.js").MarkLayer} MarkLayer */
/**
 * @typedef {object} Grip a mark in the hand
 * @property {Tile} tile
 * @property {string} key of the frame it lies on
 * @property {Mark} mark as it was
 * @property {number} index of the point that moves, -1 for all of them
 * @property {Mark} now as it would be
 */

const REACH_PX = { touch: 22, pen: 14, mouse: 9 };

export class Grips {
  /** @param {{layerOf: (tile: Tile) => MarkLayer, marksOn: (tile: Tile) => Mark[], isBusy: () => boolean, choose: (id: string) => void,
   *   chosenId: () => string, onChange: () => void, onDone: (tile: Tile, before: Mark, after: Mark) => void}} owner */
  constructor(owner) {
    this.owner = owner;
    /** @type {Grip | null} */
    this.grip = null;
    /** @type {{pointerId: number, screen: Point, from: Point, isPicked: boolean} | null} a pointer holds it */
    this.hold = null;
    /** @type {{pointerId: number, screen: Point} | null} may become a click */
    this.press = null;
  }

  /**
   * @param {Tile} tile
   * @param {(event: PointerEvent, at: Point) => void} clicked a press on the picture that went nowhere
   */
  bind(tile, clicked) {
    const on = (/** @type {string} */ name, /** @type {(event: PointerEvent, at: Point) => void} */ act) =>
      tile.root.addEventListener(name, (event) => act(/** @type {PointerEvent} */ (event), screenPoint(tile, /** @type {PointerEvent} */ (event))), { capture: true });
    on("pointerdown", (event, at) => event.target === tile.canvas && this.down(tile, event, at));
    on("pointermove", (event, at) => this.moved(tile, event, at));
    on("pointercancel", () => this.cancel());
    on("pointerup", (event, at) => {
      const isClick = this.press?.pointerId === event.pointerId && distance(this.press.screen, at) < CLICK_PX;
      this.press = null;
      if (this.hold?.pointerId === event.pointerId) this.up(event, at);
      else if (isClick) clicked(event, at);
    });
  }

  /**
   * @param {Tile} tile
   * @param {PointerEvent} event
   * @param {Point} at
   */
  down(tile, event, at) {
    if (this.hold) this.cancel(); // a second finger
    if (event.button !== 0 || this.owner.isBusy()) return;
    this.press = { pointerId: event.pointerId, screen: at };
    const isPicked = this.grip?.tile === tile;
    if (!isPicked && !this.take(tile, event, at)) return;
    event.stopPropagation();
    event.preventDefault();
    tile.canvas.focus({ preventScroll: true });
    tile.root.setPointerCapture(event.pointerId);
    this.hold = { pointerId: event.pointerId, screen: at, from: tile.toImage(at), isPicked };
    if (isPicked) this.moved(tile, event, at);
  }

  /**
   * @param {Tile} tile
   * @param {PointerEvent} event
   * @param {Point} at
   * @returns {boolean} whether the press is on the chosen mark
   */
  take(tile, event, at) {
    const mark = this.owner.marksOn(tile).find((one) => one.mark_id === this.owner.chosenId());
    if (!mark || !tile.frame || !isValid(mark, tile.frame)) return false;
    const points = this.owner.layerOf(tile).onScreen(mark);
    const reach = REACH_PX[/** @type {keyof typeof REACH_PX} */ (event.pointerType)] || REACH_PX.mouse;
    const index = handleAt(points, at, reach);
    if (index < 0 && distanceTo(mark.kind, points, at) > reach) return false;
    this.pick(tile, mark, index);
    return true;
  }

  /**
   * @param {Tile} tile
   * @param {Mark} mark
   * @param {number} index
   */
  pick(tile, mark, index) {
    this.grip = { tile, key: tile.frame?.slice.key || "", mark, index, now: mark };
    this.owner.onChange();
  }

  /**
   * @param {Tile} tile
   * @param {PointerEvent} event
   * @param {Point} at
   */
  moved(tile, event, at) {
    if (!this.grip || this.grip.tile !== tile) return;
    if (this.hold && this.hold.pointerId !== event.pointerId) return;
    if (this.hold) event.stopPropagation();
    const isNudge = this.hold && !this.hold.isPicked && distance(this.hold.screen, at) < CLICK_PX;
    if (isNudge || (!this.hold && this.grip.index < 0)) return;
    this.moveTo(tile.toImage(at));
  }

  /** @param {Point} at in the image */
  moveTo(at) {
    const grip = /** @type {Grip} */ (this.grip);
    const points = pointsOf(grip.mark);
    const moved = grip.index < 0 ? shifted(grip.tile, points, this.hold ? this.hold.from : at, at) : points.map((point, index) => (index === grip.index ? held(grip.tile, at) : point));
    this.grip = { ...grip, now: withPoints(grip.mark, moved) };
    this.owner.onChange();
  }

  /**
   * @param {PointerEvent} event
   * @param {Point} at
   */
  up(event, at) {
    event.stopPropagation();
    const { isPicked, screen } = /** @type {{isPicked: boolean, screen: Point}} */ (this.hold);
    this.hold = null;
    const isClick = !isPicked && distance(screen, at) < CLICK_PX;
    if (isClick && this.grip && this.grip.index >= 0) return; // picked up: the next click sets it down
    this.drop();
  }

  /** Leave the mark as it is now. */
  drop() {
    const { grip } = this;
    this.grip = null;
    if (grip && grip.now !== grip.mark) this.owner.onDone(grip.tile, grip.mark, grip.now);
    this.owner.onChange();
  }

  /** @returns {boolean} whether there was something in the hand */
  cancel() {
    const had = this.grip !== null;
    this.grip = null;
    this.hold = null;
    if (had) this.owner.onChange();
    return had;
  }

  /** @param {Tile} tile whose frame changed */
  leave(tile) {
    if (this.grip && this.grip.tile === tile && this.grip.key !== tile.frame?.slice.key) this.cancel();
  }

  /**
   * @param {Tile} tile
   * @param {Point} at
   * @param {string} pointerType
   * @returns {Mark | undefined} the mark under a pointer, the one set last first
   */
  markAt(tile, at, pointerType) {
    const layer = this.owner.layerOf(tile);
    const reach = REACH_PX[/** @type {keyof typeof REACH_PX} */ (pointerType)] || REACH_PX.mouse;
    const isHit = (/** @type {Mark} */ mark) => {
      const points = layer.onScreen(mark);
      return handleAt(points, at, reach) >= 0 || distanceTo(mark.kind, points, at) <= reach || layer.isOnLabel(mark.mark_id, at);
    };
    return this.owner.marksOn(tile).filter((mark) => mark.kind !== "key").reverse().find(isHit);
  }
}

/**
 * Move all points, as far as they stay in the image.
 * @param {Tile} tile
 * @param {Point[]} points
 * @param {Point} from
 * @param {Point} to
 * @returns {Point[]}
 */
function shifted(tile, points, from, to) {
  const { rows, columns } = /** @type {any} */ (tile.frame).info;
  const right = within(to.x - from.x, points.map(({ x }) => x), columns);
  const down = within(to.y - from.y, points.map(({ y }) => y), rows);
  return points.map(({ x, y }) => ({ x: x + right, y: y + down }));
}

/**
 * @param {number} way
 * @param {number[]} values
 * @param {number} most
 * @returns {number}
 */
function within(way, values, most) {
  return Math.max(-Math.min(...values), Math.min(most - Math.max(...values), way));
}

/**
 * @param {Tile} tile
 * @param {PointerEvent} event
 * @returns {Point}
 */
function screenPoint(tile, event) {
  const box = tile.canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {number}
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
