/** Setting the points of a new mark: by dragging, by clicks, or by keys with a cross. */

import { KINDS, markId, newMark } from "./mark_kinds.js";

/** @typedef {import("./mark_kinds.js").Point} Point */
/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./tools.js").DragPoint} DragPoint */
/**
 * @typedef {object} Draft never changed, only replaced
 * @property {string} kind
 * @property {Tile} tile
 * @property {import("./stack.js").Slice} slice it is set on
 * @property {Point[]} points that are set
 * @property {Point} cursor where the next one would be
 */

/** A pointer that went less far has clicked. */
export const CLICK_PX = 4;
export const DRAFT_ID = "draft";

export class Drafting {
  /** @param {{onChange: () => void, onBegin: () => void, onDone: (tile: Tile, mark: Mark) => void, onClick: (tile: Tile, at: Point) => boolean}} owner
   *   `onClick` is asked whether a first click is for something else */
  constructor(owner) {
    this.owner = owner;
    /** @type {Draft | null} */
    this.draft = null;
    /** @type {WeakMap<Draft, Mark>} */
    this.asMark = new WeakMap();
    /** @type {{before: Draft | null, isStart: boolean, screen: Point} | null} the button is down */
    this.press = null;
  }

  /**
   * @param {string} kind
   * @returns {import("./tools.js").Tool}
   */
  tool(kind) {
    return {
      name: kind,
      cursor: "crosshair",
      isClick: true,
      begin: (tile, point) => this.begin(kind, tile, point),
      move: (tile, point) => this.move(tile, point),
      end: (tile, point, event) => this.end(tile, point, event),
    };
  }

  /**
   * @param {string} kind
   * @param {Tile} tile
   * @param {DragPoint} point
   */
  begin(kind, tile, point) {
    if (!canDraw(tile)) return;
    const before = this.continued(kind, tile);
    const at = held(tile, point);
    const draft = before || this.fresh(kind, tile, at);
    const isStart = startsLine(kind, draft.points.length);
    this.press = { before, isStart, screen: point.screen };
    this.draft = { ...draft, cursor: at, points: isStart ? [...draft.points, at] : draft.points };
    this.owner.onBegin();
    this.owner.onChange();
  }

  /**
   * @param {Tile} tile
   * @param {DragPoint} point
   */
  move(tile, point) {
    if (!this.draft || this.draft.tile !== tile || !canDraw(tile)) return;
    this.draft = { ...this.draft, cursor: held(tile, point) };
    this.owner.onChange();
  }

  /**
   * @param {Tile} tile
   * @param {DragPoint} point
   * @param {PointerEvent} event
   */
  end(tile, point, event) {
    const { press, draft } = this;
    this.press = null;
    if (!press || !draft) return;
    if (event.type !== "pointerup") return this.set(press.before); // a second finger, or taken away
    const isClick = Math.hypot(point.screen.x - press.screen.x, point.screen.y - press.screen.y) < CLICK_PX;
    if (press.isStart && isClick) {
      if (draft.points.length === 1 && this.owner.onClick(tile, point.screen)) this.set(null);
      return;
    }
    this.add(held(tile, point));
  }

  /**
   * Set the next point.
   * @param {Point} at
   */
  add(at) {
    const draft = /** @type {Draft} */ (this.draft);
    const points = [...draft.points, at];
    if (points.length < KINDS[draft.kind].points) return this.set({ ...draft, points, cursor: at });
    this.set(null);
    if (isSpread(points)) this.owner.onDone(draft.tile, made(draft, points, markId(crypto.getRandomValues(new Uint8Array(16)))));
  }

  /**
   * Set a point with a key.
   * @param {string} kind
   * @param {Tile} tile
   * @param {Point} at
   */
  addByKey(kind, tile, at) {
    if (!canDraw(tile)) return;
    this.draft = this.continued(kind, tile) || this.fresh(kind, tile, at);
    this.add(at);
  }

  /**
   * Let the line follow the cross.
   * @param {Point} at
   */
  follow(at) {
    if (this.draft) this.set({ ...this.draft, cursor: at });
  }

  /** @param {Draft | null} draft */
  set(draft) {
    this.draft = draft;
    this.owner.onChange();
  }

  /** @returns {boolean} whether there was something to give up */
  cancel() {
    const had = this.draft !== null;
    this.press = null;
    if (had) this.set(null);
    return had;
  }

  /**
   * A draft belongs to one frame.
   * @param {Tile} tile whose frame changed
   */
  leave(tile) {
    if (this.draft && this.draft.tile === tile && this.draft.slice.key !== tile.frame?.slice.key) this.cancel();
  }

  /**
   * @param {Tile} tile
   * @returns {Mark[]} the draft as a mark, as far as it goes
   */
  marksOn(tile) {
    const { draft } = this;
    if (!draft || draft.tile !== tile) return [];
    const mark = this.asMark.get(draft) || made(draft, [...draft.points, draft.cursor].slice(0, KINDS[draft.kind].points), DRAFT_ID);
    this.asMark.set(draft, mark); // the very object again, so that what was worked out for it stays
    return [mark];
  }

  /**
   * @param {string} kind
   * @param {Tile} tile
   * @returns {Draft | null} the draft that goes on here
   */
  continued(kind, tile) {
    const { draft } = this;
    return draft && draft.kind === kind && draft.tile === tile && draft.slice.key === tile.frame?.slice.key ? draft : null;
  }

  /**
   * @param {string} kind
   * @param {Tile} tile
   * @param {Point} cursor
   * @returns {Draft}
   */
  fresh(kind, tile, cursor) {
    return { kind, tile, slice: /** @type {any} */ (tile.frame).slice, points: [], cursor };
  }
}

/**
 * @param {Draft} draft
 * @param {Point[]} points
 * @param {string} id
 * @returns {Mark}
 */
function made({ kind, slice }, points, id) {
  return newMark(kind, slice, points, id);
}

/**
 * @param {Tile} tile
 * @returns {boolean}
 */
export function canDraw(tile) {
  return Boolean(tile.frame && !tile.frame.reason);
}

/**
 * A press sets the first point of a line, a release its second.
 * @param {string} kind
 * @param {number} count points set
 * @returns {boolean}
 */
function startsLine(kind, count) {
  return KINDS[kind].points > 1 && (count === 0 || (kind === "cobb" && count === 2));
}

/**
 * Marks lie in the image.
 * @param {Tile} tile
 * @param {Point} point
 * @returns {Point}
 */
export function held(tile, { x, y }) {
  const { rows, columns } = /** @type {any} */ (tile.frame).info;
  return { x: Math.max(0, Math.min(columns, x)), y: Math.max(0, Math.min(rows, y)) };
}

/**
 * @param {Point[]} points
 * @returns {boolean} whether they are not all one
 */
function isSpread(points) {
  return points.length === 1 || points.some(({ x, y }) => Math.hypot(x - points[0].x, y - points[0].y) > 0.01);
}
