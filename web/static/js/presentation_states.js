/** Presentation states of a study: said to exist, applied when chosen. */

import { ask, timeout, write } from "./page.js";
import { nameOf, presented, refersTo, turnsOf } from "./presentation.js";
import { graphicsOf } from "./presentation_graphics.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {{presentation_states: any[], unreadable: any[], is_more: boolean}} Found what the node has for a study */

const SVG = "http://www.w3.org/2000/svg";
const AGAIN_MS = 5000;
/** @type {Found} */
const NONE = { presentation_states: [], unreadable: [], is_more: false };

class PresentationStates {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {Map<string, {held: number, found: Promise<Found>}>} by study */
    this.known = new Map();
    /** @type {WeakMap<Tile, any>} the state whose turns the view of a tile has */
    this.turned = new WeakMap();
  }

  /**
   * @param {import("./study.js").Study} study
   * @returns {Promise<Found>} asked for again when more of them came, or none could be had
   */
  of(study) {
    const held = study.series.filter((series) => series.modality === "PR").reduce((sum, series) => sum + series.instances.length, 0);
    const known = this.known.get(study.uid);
    if (known && known.held === held) return known.found;
    const now = { held, found: held ? load(study.uid) : Promise.resolve(NONE) };
    this.known.set(study.uid, now);
    now.found.catch(() => this.known.get(study.uid) === now && this.known.delete(study.uid));
    return now.found;
  }

  /**
   * Say whether there are states for what a tile shows.
   * @param {Tile} tile
   */
  async tell(tile) {
    const { frame, study } = tile;
    const found = frame && study ? await this.of(study).catch(() => null) : NONE;
    if (tile.frame !== frame) return;
    const states = found ? found.presentation_states : [];
    tile.states = frame ? states.filter((state) => refersTo(state.references, frame.slice)) : [];
    write(tile.texts.field("text-presentation"), [stateWords(appliedOn(tile), tile.states), troubleWords(found)].filter(Boolean).join(" · "));
    if (!found) setTimeout(() => tile.frame === frame && this.tell(tile), AGAIN_MS);
  }

  /**
   * Turn a view as its state says, and back on images the state does not refer to.
   * @param {Tile} tile
   */
  turn(tile) {
    if (!tile.frame) return;
    const applied = appliedOn(tile);
    if (applied === (this.turned.get(tile) || null)) return;
    this.turned.set(tile, applied);
    tile.viewport.look(applied ? turnsOf(applied) : { turns: 0, isFlipped: false });
  }

  /** Apply the next state of what the active tile shows; after the last one, none. */
  next() {
    const tile = this.viewer.active;
    if (!tile.states.length) return this.viewer.say("There is no presentation state for this image here.");
    const at = tile.states.indexOf(tile.presentation) + 1;
    this.apply(tile, tile.states[at] || null);
  }

  /**
   * @param {Tile} tile
   * @param {any} state null for none
   */
  apply(tile, state) {
    tile.presentation = state;
    tile.chooseWindow(null);
    this.turn(tile);
    if (state) tile.loader.needValues();
    this.tell(tile);
    this.viewer.showAround();
  }

  /** @param {Tile} tile */
  draw(tile) {
    const found = tile.layer.querySelector("g[data-presentation]");
    const group = found || document.createElementNS(SVG, "g");
    group.setAttribute("data-presentation", "");
    if (!found) tile.layer.append(group);
    group.textContent = "";
    const { frame, presentation } = tile;
    if (frame && frame.pixels && presentation && refersTo(presentation.references, frame.slice)) group.append(...graphicsOf(tile, presentation));
  }
}

/**
 * @param {Tile} tile
 * @returns {any} the state that the drawn frame is shown under, null for none
 */
function appliedOn({ frame, presentation }) {
  return frame && presentation && refersTo(presentation.references, frame.slice) ? presentation : null;
}

/**
 * @param {any} applied null for none
 * @param {any[]} states for the image
 * @returns {string}
 */
export function stateWords(applied, states) {
  if (!applied) return states.length ? `Presentation state not applied: ${states.map(nameOf).join(", ")} (Q)` : "";
  const without = applied.left_out.length ? `, without: ${applied.left_out.join(", ")}` : "";
  return `Presentation state applied: ${nameOf(applied)}${without}`;
}

/**
 * @param {Found | null} found null when the node did not answer
 * @returns {string} why there may be more states than are told of
 */
export function troubleWords(found) {
  if (!found) return "Presentation states could not be read";
  const count = found.unreadable.length;
  const unreadable = count ? `${count} presentation ${count === 1 ? "state or key object" : "states or key objects"} could not be read` : "";
  return [unreadable, found.is_more ? "This study has more presentation states than are read here" : ""].filter(Boolean).join(" · ");
}

/**
 * @param {string} studyUid
 * @returns {Promise<Found>}
 */
async function load(studyUid) {
  const answer = await ask(`/api/v1/studies/${studyUid}/presentation-states`, { signal: timeout(8000) });
  return answer.json();
}

/**
 * Return a frame as a tile's presentation state shows it.
 * @param {import("./frames.js").Frame} frame
 * @param {any} state null for none
 * @returns {import("./frames.js").Frame} the very same one without a state for it
 */
export function underState(frame, state) {
  if (!state || frame.reason || !refersTo(state.references, frame.slice)) return frame;
  const known = seen.get(frame);
  if (known && known.state === state) return known.frame;
  const made = presented(frame, state);
  seen.set(frame, { state, frame: made });
  return made;
}

/** @type {WeakMap<object, {state: any, frame: import("./frames.js").Frame}>} so that a frame is painted once only */
const seen = new WeakMap();

/** @param {Viewer} viewer */
export function installPresentationStates(viewer) {
  const states = new PresentationStates(viewer);
  viewer.onTile((tile) => {
    tile.onFrame(() => states.turn(tile));
    tile.onFrame(() => states.tell(tile));
    tile.onDrawn(() => states.draw(tile));
  });
  viewer.registerAction("presentation", () => states.next());
  viewer.registerKey("Q", "Presentation state: apply the next one, none", () => states.next());
}
