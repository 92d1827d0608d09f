/** What joins tiles: linked scrolling, lines where other tiles cut, and the cross-hair. */

import { patientOf } from "./patients.js";
import { localizerLine, patientPoint, pixelOf, shareSpace } from "./planes.js";
import { nearestParallel, placeOf, sliceAt } from "./space.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

const SVG = "http://www.w3.org/2000/svg";
/** From the centre of the first pixel, as planes count, to its corner, as tiles count. */
const HALF = 0.5;

export class Links {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.isLinked = false;
    this.hasLines = false;
    /** @type {{frameOfReference: string, point: number[], patient: string} | null} where the cross-hair is */
    this.mark = null;
    this.isFollowing = false;
    viewer.onDrawn(() => this.draw());
  }

  /**
   * @param {Tile} tile
   * @param {Tile} other
   * @returns {boolean} whether both are of one patient; then they may be joined
   */
  areOnePatient(tile, other) {
    return tile !== other && patientOf(tile) !== "" && patientOf(tile) === patientOf(other);
  }

  /**
   * Let the other tiles follow a tile that scrolled.
   * @param {Tile} tile
   */
  follow(tile) {
    if (!this.isLinked || this.isFollowing || !tile.series) return;
    const place = placeOf(tile.series, tile.index);
    if (!place) return;
    this.isFollowing = true;
    for (const other of this.viewer.tiles) {
      const at = other.series && this.areOnePatient(tile, other) ? nearestParallel(other.series, place, other.index) : -1;
      if (at >= 0) other.goTo(at);
    }
    this.isFollowing = false;
  }

  /**
   * Put the cross-hair on a point; the other tiles go to the slices that show it.
   * @param {Tile} tile
   * @param {{x: number, y: number}} pixel in the image
   */
  jump(tile, pixel) {
    const info = tile.frame?.info;
    if (!info || !shareSpace(info, info)) return;
    const point = patientPoint(info, { x: pixel.x - HALF, y: pixel.y - HALF });
    this.mark = { frameOfReference: info.frame_of_reference_uid, point, patient: patientOf(tile) };
    this.isFollowing = true;
    for (const other of this.viewer.tiles) {
      const at = other.series && this.areOnePatient(tile, other) ? sliceAt(other.series, info.frame_of_reference_uid, point, other.index) : -1;
      if (at >= 0) other.goTo(at);
    }
    this.isFollowing = false;
    this.draw();
  }

  /** @param {boolean} isLinked */
  link(isLinked) {
    this.isLinked = isLinked;
    press("link", isLinked);
    if (isLinked) this.follow(this.viewer.active);
  }

  toggleLines() {
    this.hasLines = !this.hasLines;
    press("localizer", this.hasLines);
    this.draw();
  }

  /** Take the cross-hair away. */
  forget() {
    this.mark = null;
    this.draw();
  }

  draw() {
    for (const tile of this.viewer.tiles) {
      const group = groupOf(tile);
      group.textContent = "";
      if (!tile.frame || tile.frame.reason) continue;
      if (this.hasLines) this.drawLines(tile, group);
      this.drawMark(tile, group);
    }
  }

  /**
   * @param {Tile} tile
   * @param {Element} group
   */
  drawLines(tile, group) {
    for (const other of this.viewer.tiles) {
      if (!other.frame || !this.areOnePatient(tile, other)) continue;
      const line = localizerLine(tile.frame?.info, other.frame.info);
      if (line) group.append(drawnLine(tile, line, other.isActive ? "active" : ""));
    }
  }

  /**
   * @param {Tile} tile
   * @param {Element} group
   */
  drawMark(tile, group) {
    const info = tile.frame?.info;
    if (!this.mark || this.mark.frameOfReference !== info.frame_of_reference_uid || this.mark.patient !== patientOf(tile) || !shareSpace(info, info)) return;
    const { x, y } = pixelOf(info, this.mark.point);
    const centre = tile.toScreen({ x: x + HALF, y: y + HALF });
    for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      const line = document.createElementNS(SVG, "line");
      setEnds(line, { x: centre.x + 6 * right, y: centre.y + 6 * down }, { x: centre.x + 26 * right, y: centre.y + 26 * down });
      line.setAttribute("class", "cross-hair");
      group.append(line);
    }
  }
}

/**
 * @param {Tile} tile
 * @param {[{x: number, y: number}, {x: number, y: number}]} ends
 * @param {string} state
 * @returns {Element}
 */
function drawnLine(tile, ends, state) {
  const line = document.createElementNS(SVG, "line");
  const [from, to] = ends.map(({ x, y }) => tile.toScreen({ x: x + HALF, y: y + HALF }));
  setEnds(line, from, to);
  line.setAttribute("class", `localizer ${state}`);
  return line;
}

/**
 * @param {Element} line
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 */
function setEnds(line, from, to) {
  for (const [name, value] of Object.entries({ x1: from.x, y1: from.y, x2: to.x, y2: to.y })) line.setAttribute(name, value.toFixed(2));
}

/**
 * @param {Tile} tile
 * @returns {Element} the part of its layer that belongs to lines and cross-hair
 */
function groupOf(tile) {
  const found = tile.layer.querySelector("g[data-links]");
  if (found) return found;
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("data-links", "");
  tile.layer.append(group);
  return group;
}

/**
 * @param {string} action
 * @param {boolean} isPressed
 */
function press(action, isPressed) {
  const button = document.querySelector(`button[data-action="${action}"]`);
  if (button) button.setAttribute("aria-pressed", String(isPressed));
}

/**
 * Links, lines and the cross-hair: buttons, keys, tool.
 * @param {Viewer} viewer
 */
export function installLinks(viewer) {
  const links = new Links(viewer);
  viewer.links = links;
  viewer.registerAction("link", () => links.link(!links.isLinked));
  viewer.registerKey("L", "Link the tiles: they scroll together where they are parallel", () => links.link(true));
  viewer.registerKey("U", "Unlink the tiles", () => links.link(false));
  viewer.registerAction("localizer", () => links.toggleLines());
  viewer.registerKey("O", "Lines where other tiles cut this one", () => links.toggleLines());
  viewer.registerKey("J", "Left button: cross-hair; other tiles jump to the point", () => viewer.chooseTool("cross-hair"));
  viewer.registerTool({
    name: "cross-hair",
    cursor: "crosshair",
    begin: (tile, point) => links.jump(tile, point),
    move: (tile, point) => links.jump(tile, point),
    end: () => {},
  });
}
