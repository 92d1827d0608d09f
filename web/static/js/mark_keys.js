/** Setting and moving points without a pointer: arrows move a cross, Enter sets it. */

import { KINDS } from "./mark_kinds.js";
import { canDraw, held } from "./mark_drafting.js";

/** @typedef {import("./mark_kinds.js").Point} Point */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./marks.js").Marks} Marks */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
const FAST = 10;
const CROSS_HAIR = "cross-hair";

export class MarkKeys {
  /** @param {Marks} marks */
  constructor(marks) {
    this.marks = marks;
    /** @type {{tile: Tile, at: Point} | null} */
    this.cross = null;
    // before the viewer's own keys, which scroll
    document.addEventListener("keydown", (event) => this.pressed(event), { capture: true });
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.metaKey || document.querySelector("dialog[open]") || target.matches("input:not([type=range]), textarea, select")) return;
    const act = event.ctrlKey ? this.withCtrl(event) : this.plain(event, target);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {(() => void) | null}
   */
  withCtrl(event) {
    const key = event.key.toLowerCase();
    if (key === "y" || (key === "z" && event.shiftKey)) return () => this.marks.redo();
    return key === "z" ? () => this.marks.undo() : null;
  }

  /**
   * @param {KeyboardEvent} event
   * @param {HTMLElement} target
   * @returns {(() => void) | null}
   */
  plain(event, target) {
    if (event.key === "Escape") return this.marks.isBusy() || this.cross ? () => this.marks.cancel() : null;
    if (event.key === "Enter" && !target.matches("button, a")) return this.enter();
    const arrow = ARROWS[event.key];
    if (!arrow || !this.cross) return null;
    return () => this.step(arrow, event.shiftKey ? FAST : 1);
  }

  /** @returns {(() => void) | null} */
  enter() {
    const { viewer } = this.marks;
    const kind = viewer.leftTool;
    if (this.marks.grips.grip) return () => this.nextPoint();
    if (kind === CROSS_HAIR) return this.cross ? () => this.jump() : () => this.show(viewer.active);
    if (KINDS[kind]) return this.cross ? () => this.set(kind) : () => this.show(viewer.active);
    return this.marks.chosenHere() ? () => this.gripPoint(0) : null;
  }

  /**
   * Show the cross in the middle of what is seen.
   * @param {Tile} tile
   */
  show(tile) {
    if (!canDraw(tile)) return;
    const { clientWidth, clientHeight } = tile.canvas;
    const middle = tile.toImage({ x: clientWidth / 2, y: clientHeight / 2 });
    this.put(tile, { x: Math.round(middle.x), y: Math.round(middle.y) });
  }

  hide() {
    this.cross = null;
    this.marks.show();
  }

  /**
   * @param {Tile} tile
   * @param {Point} at
   */
  put(tile, at) {
    this.cross = { tile, at: held(tile, at) };
    this.marks.drafting.follow(this.cross.at);
    if (this.marks.grips.grip) this.marks.grips.moveTo(this.cross.at);
    this.marks.show();
  }

  /**
   * @param {[number, number]} arrow on the screen
   * @param {number} pixels of the image
   */
  step([right, down], pixels) {
    const { tile, at } = /** @type {{tile: Tile, at: Point}} */ (this.cross);
    if (!canDraw(tile)) return this.hide();
    const [from, to] = [tile.toImage({ x: 0, y: 0 }), tile.toImage({ x: right, y: down })];
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const isAcross = Math.abs(dx) > Math.abs(dy); // the image may be turned
    this.put(tile, { x: at.x + (isAcross ? Math.sign(dx) * pixels : 0), y: at.y + (isAcross ? 0 : Math.sign(dy) * pixels) });
  }

  /** Put the cross-hair where the cross is; the other tiles jump to it. */
  jump() {
    const { tile, at } = /** @type {{tile: Tile, at: Point}} */ (this.cross);
    this.marks.viewer.links?.jump(tile, at);
  }

  /** @param {string} kind */
  set(kind) {
    const { tile, at } = /** @type {{tile: Tile, at: Point}} */ (this.cross);
    this.marks.drafting.addByKey(kind, tile, at);
    if (!this.marks.drafting.draft) this.hide();
  }

  /**
   * Take a point of the chosen mark.
   * @param {number} index
   */
  gripPoint(index) {
    const chosen = this.marks.chosenHere();
    if (!chosen) return;
    const { tile, mark } = chosen;
    this.marks.grips.pick(tile, mark, index);
    this.put(tile, { x: mark.points[index][0], y: mark.points[index][1] });
  }

  /** Leave the point where it is and take the next one. */
  nextPoint() {
    const grip = /** @type {import("./mark_grips.js").Grip} */ (this.marks.grips.grip);
    const next = grip.index + 1;
    this.marks.grips.drop();
    if (this.cross && next < grip.mark.points.length) this.gripPoint(next);
    else this.hide();
  }
}
