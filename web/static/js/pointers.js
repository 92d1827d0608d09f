/**
 * Mouse, pen, fingers and wheel on a tile: left has the chosen tool, middle moves, right zooms; one
 * finger has the tool too, two zoom and move.
 */

import { Press, TwoFingers } from "./fingers.js";

/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./tools.js").Tool} Tool */
/** @typedef {import("./tools.js").DragPoint} DragPoint */
/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} Chosen what the pointers ask the viewer
 * @property {(name: string) => Tool} toolNamed
 * @property {(pointerType: string) => string} toolName the tool of the left button, or of one finger
 * @property {(tile: Tile) => void} activate
 * @property {() => void} openMenu all tools, for the active tile
 */

/** From here on a wheel's turn is a notch of a mouse, below it a touchpad glides. */
const NOTCH_PX = 50;
const GLIDE_PX = 24;
/** A right button that went less far did not zoom. */
const STILL_PX = 4;

/**
 * Let pointers work on a tile.
 * @param {Tile} tile
 * @param {Chosen} chosen
 */
export function bindPointers(tile, chosen) {
  const pointers = new Pointers(tile, chosen);
  const on = (/** @type {string} */ name, /** @type {(event: PointerEvent) => void} */ act) => tile.canvas.addEventListener(name, (event) => act(/** @type {PointerEvent} */ (event)));
  on("contextmenu", (event) => event.preventDefault());
  on("pointerdown", (event) => pointers.down(event));
  on("pointermove", (event) => pointers.moved(event));
  on("pointerup", (event) => pointers.up(event));
  on("pointercancel", (event) => pointers.up(event));
}

/** All pointers that are down on one tile. */
class Pointers {
  /**
   * @param {Tile} tile
   * @param {Chosen} chosen
   */
  constructor(tile, chosen) {
    this.tile = tile;
    this.chosen = chosen;
    /** @type {Map<number, Point>} */
    this.at = new Map();
    /** @type {Drag | null} */
    this.drag = null;
    /** @type {Press | null} a finger that has not moved yet */
    this.press = null;
    /** @type {TwoFingers | null} */
    this.pair = null;
    this.lastTap = { time: -Infinity, x: 0, y: 0 };
  }

  /** @param {PointerEvent} event */
  down(event) {
    const { tile, chosen } = this;
    event.preventDefault();
    chosen.activate(tile);
    tile.canvas.focus({ preventScroll: true });
    tile.canvas.setPointerCapture(event.pointerId);
    this.at.set(event.pointerId, placeOf(event));
    this.giveUp(event);
    if (this.at.size === 2) this.pair = new TwoFingers(tile);
    if (this.at.size > 1) return;
    const tool = toolOf(event, chosen);
    if (event.pointerType === "touch") this.press = new Press(event, tool, () => this.rested());
    else this.drag = new Drag(tile, tool, event);
  }

  /**
   * What one pointer began ends when another one comes.
   * @param {PointerEvent} event
   */
  giveUp(event) {
    this.drag?.end(event);
    this.press?.leave();
    this.drag = this.press = null;
  }

  /** @param {PointerEvent} event */
  moved(event) {
    const before = this.at.get(event.pointerId);
    if (!before) return hover(this.tile, event, this.chosen);
    const now = placeOf(event);
    if (this.press?.hasMoved(now)) this.begin(this.press);
    if (this.drag) this.drag.move(event);
    else if (this.pair && this.at.size === 2) this.pair.moved(before, now, this.otherThan(event.pointerId));
    this.at.set(event.pointerId, now);
  }

  /**
   * A finger that moves drags from where it was put down.
   * @param {Press} press
   */
  begin(press) {
    press.leave();
    this.press = null;
    this.drag = new Drag(this.tile, press.tool, press.event);
  }

  /** A finger that rests asks for all tools. */
  rested() {
    this.press = null;
    this.chosen.openMenu();
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.at.delete(event.pointerId)) return;
    if (this.pair && this.at.size < 2) this.pair = this.pair.end();
    if (this.press) this.tapped(this.press, event);
    else if (this.drag) this.drag.end(event);
    if (this.drag && event.button === 2 && this.drag.isStill(STILL_PX)) this.chosen.openMenu();
    this.drag = this.press = null;
  }

  /**
   * @param {Press} press
   * @param {PointerEvent} event
   */
  tapped(press, event) {
    press.leave();
    if (event.type !== "pointerup") return;
    new Drag(this.tile, press.tool, press.event).end(event, press.event);
    const isSecond = press.isSecondOf(this.lastTap) && !press.tool.isClick;
    this.lastTap = isSecond ? { time: -Infinity, x: 0, y: 0 } : { time: event.timeStamp, ...placeOf(press.event) };
    if (isSecond) this.tile.toggleOneToOne(screenPoint(this.tile, press.event));
  }

  /**
   * @param {number} pointerId
   * @returns {Point}
   */
  otherThan(pointerId) {
    return [...this.at].filter(([id]) => id !== pointerId)[0][1];
  }
}

/** One press of a button until it comes up. */
class Drag {
  /**
   * @param {Tile} tile
   * @param {Tool} tool
   * @param {PointerEvent} event
   */
  constructor(tile, tool, event) {
    this.tile = tile;
    this.tool = tool;
    this.last = placeOf(event);
    this.way = { x: 0, y: 0 };
    tool.begin(tile, this.point(event), event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    this.tool.move(this.tile, this.point(event), event);
  }

  /**
   * @param {PointerEvent} event
   * @param {PointerEvent} [at] the event whose place counts
   */
  end(event, at = event) {
    this.tool.end(this.tile, this.point(at), event);
  }

  /**
   * @param {number} px
   * @returns {boolean} whether it went less far
   */
  isStill(px) {
    return Math.hypot(this.way.x, this.way.y) < px;
  }

  /**
   * @param {PointerEvent} event
   * @returns {DragPoint}
   */
  point(event) {
    const step = { x: event.clientX - this.last.x, y: event.clientY - this.last.y };
    const pace = speed(event);
    this.last = placeOf(event);
    this.way = { x: this.way.x + step.x * pace, y: this.way.y + step.y * pace };
    return pointOf(this.tile, event, { way: this.way, step });
  }
}

/**
 * @param {PointerEvent} event
 * @returns {Point} on the page, CSS pixels
 */
function placeOf(event) {
  return { x: event.clientX, y: event.clientY };
}

/**
 * @param {Tile} tile
 * @param {MouseEvent} event
 * @returns {Point} CSS pixels from the canvas' upper left
 */
function screenPoint(tile, event) {
  const box = tile.canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/**
 * @param {Tile} tile
 * @param {PointerEvent} event
 * @param {{way: Point, step: Point}} gone
 * @returns {DragPoint}
 */
function pointOf(tile, event, gone) {
  const screen = screenPoint(tile, event);
  return { ...tile.toImage(screen), screen, ...gone };
}

/**
 * @param {Tile} tile
 * @param {PointerEvent} event
 * @param {Chosen} chosen
 */
function hover(tile, event, chosen) {
  const tool = chosen.toolNamed(chosen.toolName(event.pointerType));
  const still = { x: 0, y: 0 };
  if (tool.isClick) tool.move(tile, pointOf(tile, event, { way: still, step: still }), event);
}

/**
 * @param {PointerEvent} event
 * @param {Chosen} chosen
 * @returns {Tool}
 */
function toolOf(event, chosen) {
  if (event.button === 1) return chosen.toolNamed("pan");
  if (event.button === 2) return chosen.toolNamed("zoom");
  return chosen.toolNamed(chosen.toolName(event.pointerType));
}

/**
 * @param {PointerEvent} event
 * @returns {number} Shift is finer, Ctrl is faster
 */
function speed(event) {
  return event.shiftKey ? 0.25 : event.ctrlKey ? 4 : 1;
}

/**
 * Let the wheel scroll through the stack; with Ctrl it zooms about the pointer.
 * @param {Tile} tile
 * @param {Chosen} chosen
 */
export function bindWheel(tile, chosen) {
  let rest = 0;
  const turn = (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    chosen.activate(tile);
    if (event.ctrlKey) return tile.viewport.zoomBy(1.0015 ** -event.deltaY, screenPoint(tile, event));
    const isNotch = event.deltaMode !== WheelEvent.DOM_DELTA_PIXEL || Math.abs(event.deltaY) >= NOTCH_PX;
    rest = isNotch ? 0 : rest + event.deltaY;
    const notches = Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / 120));
    const steps = isNotch ? notches : Math.trunc(rest / GLIDE_PX);
    rest -= isNotch ? 0 : steps * GLIDE_PX;
    if (steps) tile.scrollBy(steps);
  };
  tile.canvas.addEventListener("wheel", turn, { passive: false });
}
