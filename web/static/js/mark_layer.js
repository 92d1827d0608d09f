/** Marks drawn over the picture of one tile, as vectors. */

import { isValid, linesOf, SETTLING } from "./mark_values.js";
import { boxAround, dashesOn, isInBox, labelPlace, linesOn } from "./mark_shapes.js";
import { pointsOf } from "./mark_kinds.js";

/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./mark_kinds.js").Point} Point */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./mark_shapes.js").Box} Box */

const SVG = "http://www.w3.org/2000/svg";
const LINE_EM = 1.25;
const HANDLE_PX = 6;
const CROSS_PX = 15;

export class MarkLayer {
  /**
   * @param {Tile} tile
   * @param {import("./settled_statistics.js").SettledStatistics} statistics
   */
  constructor(tile, statistics) {
    this.tile = tile;
    this.statistics = statistics;
    this.group = add(tile.layer, "g", { class: "marks" });
    /** @type {Map<string, Box>} where labels lie on the screen, by mark */
    this.labels = new Map();
    /** @type {WeakMap<Mark, {frame: any, lines: string[]}>} what was worked out and still holds */
    this.worked = new WeakMap();
  }

  /**
   * Draw all anew.
   * @param {Mark[]} marks of the frame that is drawn
   * @param {{selectedId: string, draftId: string, cross: Point | null}} how
   */
  draw(marks, { selectedId, draftId, cross }) {
    this.group.textContent = "";
    this.labels.clear();
    if (!this.tile.frame || this.tile.frame.reason) return;
    const drawn = marks.filter((mark) => mark.points.length);
    const around = new Map(drawn.map((mark) => [mark, boxAround(mark.kind, this.onScreen(mark))]));
    for (const mark of drawn) {
      const group = this.drawMark(mark, mark.mark_id === selectedId ? "selected" : mark.mark_id === draftId ? "draft" : "plain");
      this.label(group, mark, around);
    }
    if (cross) this.drawCross(this.tile.toScreen(cross));
  }

  /**
   * @param {Mark} mark
   * @param {string} state
   * @returns {Element}
   */
  drawMark(mark, state) {
    const frame = /** @type {any} */ (this.tile.frame);
    const points = this.onScreen(mark);
    const group = add(this.group, "g", { class: "mark", "data-mark-id": mark.mark_id, "data-kind": mark.kind, "data-state": isValid(mark, frame) ? state : "other-version" });
    for (const name of ["under", "over"]) {
      for (const line of linesOn(mark.kind, points)) add(group, "polyline", { class: name, points: path(line) });
      for (const line of dashesOn(mark.kind, points)) add(group, "polyline", { class: `${name} dashed`, points: path(line) });
    }
    if (state !== "plain") for (const { x, y } of points) add(group, "circle", { class: "handle", cx: x, cy: y, r: HANDLE_PX });
    return group;
  }

  /**
   * @param {Element} group
   * @param {Mark} mark
   * @param {Map<Mark, Box>} around every mark that is drawn
   */
  label(group, mark, around) {
    const lines = this.lines(mark);
    if (!lines.length) return;
    const text = /** @type {SVGTextElement} */ (add(group, "text", { class: "label" }));
    const line = LINE_EM * parseFloat(getComputedStyle(text).fontSize); // it is larger on a wall
    lines.forEach((words, index) => {
      add(text, "tspan", { x: 0, y: (index + 0.8) * line }).textContent = words;
    });
    const size = { width: text.getBBox().width, height: lines.length * line };
    const { canvas } = this.tile;
    const others = [...around].filter(([other]) => other !== mark).map(([, box]) => box);
    const room = { width: canvas.clientWidth, height: canvas.clientHeight };
    const place = labelPlace(/** @type {Box} */ (around.get(mark)), size, room, [...this.labels.values(), ...others]);
    text.setAttribute("transform", `translate(${place.left} ${place.top})`);
    this.labels.set(mark.mark_id, place);
  }

  /**
   * @param {Mark} mark
   * @returns {string[]} what it says of the frame that is drawn
   */
  lines(mark) {
    const frame = /** @type {any} */ (this.tile.frame);
    const before = this.worked.get(mark);
    if (before && before.frame === frame) return before.lines;
    const lines = linesOf(mark, frame, (one) => this.statistics.of(one, frame));
    if (lines[0] !== SETTLING) this.worked.set(mark, { frame, lines });
    return lines;
  }

  /**
   * @param {Mark} mark
   * @returns {Point[]}
   */
  onScreen(mark) {
    return pointsOf(mark).map((point) => this.tile.toScreen(point));
  }

  /**
   * @param {string} markId
   * @param {Point} at
   * @returns {boolean} whether a pointer is on its label
   */
  isOnLabel(markId, at) {
    const box = this.labels.get(markId);
    return Boolean(box && isInBox(box, at));
  }

  /**
   * The cross that keys move.
   * @param {Point} at
   */
  drawCross({ x, y }) {
    const group = add(this.group, "g", { class: "key-cross" });
    for (const name of ["under", "over"]) {
      add(group, "path", { class: name, d: `M${x - CROSS_PX} ${y}H${x + CROSS_PX}M${x} ${y - CROSS_PX}V${y + CROSS_PX}` });
    }
  }
}

/**
 * @param {Point[]} line
 * @returns {string}
 */
function path(line) {
  return line.map(({ x, y }) => `${x},${y}`).join(" ");
}

/**
 * @param {Element} parent
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @returns {Element}
 */
function add(parent, name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  parent.append(element);
  return element;
}
