/** Lines, shapes and texts of a presentation state as vectors over the picture. */

import { refersTo } from "./presentation.js";

/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {{x: number, y: number}} Point */

const SVG = "http://www.w3.org/2000/svg";
const DOT_PX = 4;

/**
 * Return the elements of a state's graphics for what a tile shows.
 * @param {Tile} tile
 * @param {any} state
 * @returns {Element[]}
 */
export function graphicsOf(tile, state) {
  const { frame } = tile;
  if (!frame) return [];
  return state.annotations
    .filter((/** @type {any} */ one) => !one.references.length || refersTo(one.references, frame.slice))
    .flatMap((/** @type {any} */ one) => [...one.graphics.map((/** @type {any} */ graphic) => shape(tile, graphic)), ...one.texts.map((/** @type {any} */ note) => text(tile, note))])
    .filter(Boolean);
}

/**
 * @param {Tile} tile
 * @param {string} units
 * @param {[number, number]} point
 * @returns {Point} CSS pixels
 */
function place(tile, units, [x, y]) {
  if (units !== "DISPLAY") return tile.toScreen({ x, y });
  const { left, top, width, height } = tile.viewport.place();
  const { ratio } = tile.viewport;
  return { x: (left + x * width) / ratio, y: (top + y * height) / ratio };
}

/**
 * @param {Tile} tile
 * @param {any} graphic
 * @returns {Element | null}
 */
function shape(tile, { kind, units, points, is_filled }) {
  if (units === "MATRIX") return null;
  /** @type {Point[]} */
  const ends = points.map((/** @type {[number, number]} */ point) => place(tile, units, point));
  const shapes = /** @type {Record<string, () => Element>} */ ({
    POINT: () => element("circle", { cx: ends[0].x, cy: ends[0].y, r: DOT_PX }),
    POLYLINE: () => element("polyline", { points: ends.map(({ x, y }) => `${x},${y}`).join(" ") }),
    INTERPOLATED: () => element("polyline", { points: ends.map(({ x, y }) => `${x},${y}`).join(" ") }),
    CIRCLE: () => element("circle", { cx: ends[0].x, cy: ends[0].y, r: Math.hypot(ends[1].x - ends[0].x, ends[1].y - ends[0].y) }),
    ELLIPSE: () => ellipse(ends),
  });
  const make = shapes[kind];
  if (!make || !ends.length) return null;
  const found = make();
  found.setAttribute("class", is_filled ? "graphic filled" : "graphic");
  return found;
}

/**
 * @param {Point[]} ends of the major, then of the minor axis
 * @returns {Element}
 */
function ellipse([a, b, c, d]) {
  const angle = (Math.atan2(b.y - a.y, b.x - a.x) * 180) / Math.PI;
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  return element("ellipse", {
    cx: middle.x,
    cy: middle.y,
    rx: Math.hypot(b.x - a.x, b.y - a.y) / 2,
    ry: Math.hypot(d.x - c.x, d.y - c.y) / 2,
    transform: `rotate(${angle} ${middle.x} ${middle.y})`,
  });
}

/**
 * @param {Tile} tile
 * @param {any} note
 * @returns {Element | null}
 */
function text(tile, note) {
  const isBoxed = Boolean(note.box);
  const units = isBoxed ? note.box_units : note.anchor_units;
  const at = isBoxed ? note.box[0] : note.anchor;
  if (!at || units === "MATRIX") return null;
  const { x, y } = place(tile, units, at);
  const found = element("text", { x, y: y + 16, class: "graphic-text" });
  note.text.split("\n").forEach((/** @type {string} */ line, /** @type {number} */ n) => {
    const part = element("tspan", n ? { x, dy: 18 } : { x });
    part.textContent = line;
    found.append(part);
  });
  return found;
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @returns {Element}
 */
function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
