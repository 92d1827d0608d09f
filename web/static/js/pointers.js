/** Mouse, touch and wheel on a tile: left has the chosen tool, middle moves, right zooms. */

/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./tools.js").Tool} Tool */
/** @typedef {import("./tools.js").DragPoint} DragPoint */
/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} Chosen what the pointers ask the viewer
 * @property {(name: string) => Tool} toolNamed
 * @property {() => string} toolName the tool of the left button
 * @property {(tile: Tile) => void} activate
 */

/** From here on a wheel's turn is a notch of a mouse, below it a touchpad glides. */
const NOTCH_PX = 50;
const GLIDE_PX = 24;

/**
 * Let pointers work on a tile.
 * @param {Tile} tile
 * @param {Chosen} chosen
 */
export function bindPointers(tile, chosen) {
  const { canvas } = tile;
  /** @type {Map<number, Point>} */
  const down = new Map();
  /** @type {Drag | null} */
  let drag = null;

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    chosen.activate(tile);
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (drag) drag.end(event);
    drag = down.size > 1 ? null : new Drag(tile, toolOf(event, chosen), event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return hover(tile, event, chosen);
    if (drag) drag.move(event);
    else if (down.size === 2) pinch(down, event, tile);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const end = (/** @type {PointerEvent} */ event) => {
    down.delete(event.pointerId);
    if (!drag) return;
    drag.end(event);
    drag = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
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
    this.last = { x: event.clientX, y: event.clientY };
    this.way = { x: 0, y: 0 };
    tool.begin(tile, this.point(event), event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    this.tool.move(this.tile, this.point(event), event);
  }

  /** @param {PointerEvent} event */
  end(event) {
    this.tool.end(this.tile, this.point(event), event);
  }

  /**
   * @param {PointerEvent} event
   * @returns {DragPoint}
   */
  point(event) {
    const step = { x: event.clientX - this.last.x, y: event.clientY - this.last.y };
    const pace = speed(event);
    this.last = { x: event.clientX, y: event.clientY };
    this.way = { x: this.way.x + step.x * pace, y: this.way.y + step.y * pace };
    return pointOf(this.tile, event, { way: this.way, step });
  }
}

/**
 * @param {Tile} tile
 * @param {PointerEvent} event
 * @param {{way: Point, step: Point}} gone
 * @returns {DragPoint}
 */
function pointOf(tile, event, gone) {
  const box = tile.canvas.getBoundingClientRect();
  const screen = { x: event.clientX - box.left, y: event.clientY - box.top };
  return { ...tile.toImage(screen), screen, ...gone };
}

/**
 * @param {Tile} tile
 * @param {PointerEvent} event
 * @param {Chosen} chosen
 */
function hover(tile, event, chosen) {
  const tool = chosen.toolNamed(chosen.toolName());
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
  const name = chosen.toolName();
  return chosen.toolNamed(event.pointerType === "touch" && name === "window" ? "scroll" : name);
}

/**
 * @param {PointerEvent} event
 * @returns {number} Shift is finer, Ctrl is faster
 */
function speed(event) {
  return event.shiftKey ? 0.25 : event.ctrlKey ? 4 : 1;
}

/**
 * Two fingers: their distance zooms, their middle moves.
 * @param {Map<number, Point>} down
 * @param {PointerEvent} event
 * @param {Tile} tile
 */
function pinch(down, event, tile) {
  const before = /** @type {Point} */ (down.get(event.pointerId));
  const other = [...down].find(([id]) => id !== event.pointerId)?.[1] || before;
  const now = { x: event.clientX, y: event.clientY };
  tile.viewport.zoomBy(distance(now, other) / Math.max(1, distance(before, other)));
  tile.viewport.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {number}
 */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/**
 * Let the wheel scroll through the stack; with Ctrl it zooms.
 * @param {Tile} tile
 * @param {Chosen} chosen
 */
export function bindWheel(tile, chosen) {
  let rest = 0;
  const turn = (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    chosen.activate(tile);
    if (event.ctrlKey) return tile.viewport.zoomBy(1.0015 ** -event.deltaY);
    const isNotch = event.deltaMode !== WheelEvent.DOM_DELTA_PIXEL || Math.abs(event.deltaY) >= NOTCH_PX;
    rest = isNotch ? 0 : rest + event.deltaY;
    const notches = Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / 120));
    const steps = isNotch ? notches : Math.trunc(rest / GLIDE_PX);
    rest -= isNotch ? 0 : steps * GLIDE_PX;
    if (steps) tile.goTo(tile.index + steps);
  };
  tile.canvas.addEventListener("wheel", turn, { passive: false });
}
