/**
 * A picture of what a tile shows: the canvas, the marks over it, and a margin below with whose it
 * is. The margin never covers tissue, and its text comes from the very frame that is drawn.
 */

/** @typedef {import("./tile.js").Tile} Tile */

const TEXT_PX = 15;
const LINE_PX = 21;
const MARGIN_PX = 10;
const SVG = "http://www.w3.org/2000/svg";
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "paint-order", "visibility", "display"];

/**
 * Lines that say whose picture it is.
 * @type {((info: any) => string)[]}
 */
export const IDENTITY_LINES = [
  ({ display }) => `${display.name} · Born ${display.born} · ${display.sex} · ${display.patient_id_label} ${display.patient_id}`,
  ({ display }) => `${display.study_description} · ${display.study_when} · Accession ${display.accession}`,
  ({ display }) => display.corrected,
];

/** What is said of a picture that looks other than its file has it, or may be another side. */
const WARNINGS = ["text-turned", "text-side", "text-warning", "text-presentation"];

/**
 * @param {Tile} tile
 * @param {((info: any) => string)[]} identity the lines that say whose it is; none to leave it out
 * @returns {Promise<HTMLCanvasElement | null>} null when nothing is drawn
 */
export async function composeView(tile, identity) {
  const { frame } = tile;
  if (!frame || frame.reason || tile.canvas.dataset.frame !== frame.slice.key) return null;
  const ratio = tile.canvas.width / Math.max(1, tile.canvas.clientWidth);
  const pixels = document.createElement("canvas");
  pixels.width = tile.canvas.width;
  pixels.height = tile.canvas.height;
  context(pixels).drawImage(tile.canvas, 0, 0); // now, before the tile moves on
  const lines = viewLines(tile, identity);
  const marks = await marksOf(tile.layer, pixels.width, pixels.height);
  return withMargin(pixels, marks, lines, edgesOf(tile), ratio);
}

/** @param {HTMLCanvasElement} canvas */
function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * @param {Tile} tile
 * @param {((info: any) => string)[]} identity
 * @returns {string[]}
 */
function viewLines(tile, identity) {
  const { info } = /** @type {import("./frames.js").Frame} */ (tile.frame);
  const said = (/** @type {string} */ name) => fieldText(tile, name);
  const whose = identity.length ? identity.map((line) => line(info)) : ["Identity left out on request. Text inside the picture itself is not removed."];
  const where = identity.length ? [info.display.series, info.display.place] : [info.display.place];
  const state = tile.canvas.dataset.state === "final" ? "" : "preview, not final";
  const how = [said("text-slice"), said("text-window"), said("text-zoom"), info.display.fidelity, state];
  const saved = `Saved ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const warnings = WARNINGS.map(said).filter(Boolean).join(" · ");
  return [...whose, warnings && `Note: ${warnings}`, [...where, ...how].filter(Boolean).join(" · "), `Review only - not for primary diagnosis · ${saved}`].filter(Boolean);
}

/**
 * @param {Tile} tile
 * @param {string} name
 * @returns {string} what stands in a field of the tile
 */
function fieldText(tile, name) {
  const field = tile.root.querySelector(`[data-field="${name}"]`);
  return (field && field.textContent) || "";
}

/**
 * @param {Tile} tile
 * @returns {Record<string, string>} the letters at the edges
 */
function edgesOf(tile) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const edge of ["left", "top", "right", "bottom"]) {
    found[edge] = fieldText(tile, `edge-${edge}`);
  }
  return found;
}

/**
 * Draw the marks of a tile, with the looks the page gives them.
 * @param {SVGSVGElement} layer
 * @param {number} width
 * @param {number} height
 * @returns {Promise<HTMLImageElement | null>}
 */
async function marksOf(layer, width, height) {
  if (!layer.childElementCount) return null;
  const copy = /** @type {SVGSVGElement} */ (layer.cloneNode(true));
  const parts = Array.from(layer.querySelectorAll("*"));
  Array.from(copy.querySelectorAll("*")).forEach((part, index) => keepLooks(parts[index], part));
  keepLooks(layer, copy);
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${layer.clientWidth} ${layer.clientHeight}`);
  return pictureOf(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
}

/**
 * @param {Blob} blob
 * @returns {Promise<HTMLImageElement>}
 */
async function pictureOf(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/**
 * @param {Element} from
 * @param {Element} to
 */
function keepLooks(from, to) {
  const looks = getComputedStyle(from);
  for (const name of STYLES) to.setAttribute(name, looks.getPropertyValue(name));
}

/**
 * @param {HTMLCanvasElement} pixels
 * @param {HTMLImageElement | null} marks
 * @param {string[]} lines
 * @param {Record<string, string>} edges
 * @param {number} ratio device pixels per CSS pixel
 * @returns {HTMLCanvasElement}
 */
function withMargin(pixels, marks, lines, edges, ratio) {
  const side = Math.round(LINE_PX * 2 * ratio);
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width + 2 * side;
  const draw = context(canvas);
  draw.font = `${TEXT_PX * ratio}px sans-serif`;
  const shown = lines.flatMap((line) => wrapped(draw, line, canvas.width - 2 * MARGIN_PX * ratio));
  canvas.height = pixels.height + Math.round((LINE_PX * (shown.length + 2.5) + MARGIN_PX) * ratio);
  const top = Math.round(LINE_PX * 1.25 * ratio);
  draw.fillStyle = "#000";
  draw.fillRect(0, 0, canvas.width, canvas.height);
  draw.drawImage(pixels, side, top);
  if (marks) draw.drawImage(marks, side, top, pixels.width, pixels.height);
  draw.font = `${TEXT_PX * ratio}px sans-serif`; // a canvas forgets it when its size is set
  draw.fillStyle = "#fff";
  drawEdges(draw, edges, { left: side, top, width: pixels.width, height: pixels.height });
  const first = top + pixels.height + LINE_PX * 2.25 * ratio;
  draw.textAlign = "left";
  shown.forEach((line, index) => draw.fillText(line, MARGIN_PX * ratio, first + index * LINE_PX * ratio));
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} draw
 * @param {Record<string, string>} edges
 * @param {{left: number, top: number, width: number, height: number}} box
 */
function drawEdges(draw, edges, { left, top, width, height }) {
  draw.textAlign = "center";
  draw.textBaseline = "middle";
  draw.fillText(edges.left, left / 2, top + height / 2);
  draw.fillText(edges.right, left * 1.5 + width, top + height / 2);
  draw.fillText(edges.top, left + width / 2, top / 2);
  draw.fillText(edges.bottom, left + width / 2, top * 1.5 + height);
  draw.textBaseline = "alphabetic";
}

/**
 * @param {CanvasRenderingContext2D} draw
 * @param {string} line
 * @param {number} width
 * @returns {string[]}
 */
function wrapped(draw, line, width) {
  /** @type {string[]} */
  const rows = [];
  let row = "";
  for (const letter of line) {
    if (draw.measureText(row + letter).width <= width) {
      row += letter;
      continue;
    }
    const space = row.lastIndexOf(" ");
    const end = space > row.length / 2 ? space + 1 : row.length;
    rows.push(row.slice(0, end).trimEnd());
    row = row.slice(end) + letter;
  }
  return [...rows, row];
}
