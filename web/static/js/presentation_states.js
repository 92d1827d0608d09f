/** Presentation states of a study: said to exist, applied when chosen. */

import { ask, timeout, write } from "./page.js";
import { nameOf, presented, refersTo, turnsOf } from "./presentation.js";
import { graphicsOf } from "./presentation_graphics.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

const SVG = "http://www.w3.org/2000/svg";

class PresentationStates {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {Map<string, {held: number, states: Promise<any[]>}>} by study */
    this.known = new Map();
  }

  /**
   * @param {import("./study.js").Study} study
   * @returns {Promise<any[]>} asked for again when more of them came
   */
  of(study) {
    const held = study.series.filter((series) => series.modality === "PR").reduce((sum, series) => sum + series.instances.length, 0);
    const known = this.known.get(study.uid);
    if (known && known.held === held) return known.states;
    const states = held ? load(study.uid).catch(() => []) : Promise.resolve([]);
    this.known.set(study.uid, { held, states });
    return states;
  }

  /**
   * Say whether there are states for what a tile shows.
   * @param {Tile} tile
   */
  async tell(tile) {
    const { frame, study } = tile;
    const states = frame && study ? await this.of(study) : [];
    if (tile.frame !== frame) return;
    tile.states = frame ? states.filter((state) => refersTo(state.references, frame.slice)) : [];
    const applied = tile.presentation;
    const words = applied ? `Presentation state applied: ${nameOf(applied)}` : "";
    const offer = tile.states.length ? `Presentation state not applied: ${tile.states.map(nameOf).join(", ")} (Q)` : "";
    write(tile.texts.field("text-presentation"), words || offer);
    if (applied && applied.left_out.length) write(tile.texts.field("text-presentation"), `${words}, without: ${applied.left_out.join(", ")}`);
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
    tile.viewport.look(state ? turnsOf(state) : { turns: 0, isFlipped: false });
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
 * @param {string} studyUid
 * @returns {Promise<any[]>}
 */
async function load(studyUid) {
  const answer = await ask(`/api/v1/studies/${studyUid}/presentation-states`, { signal: timeout(8000) });
  return (await answer.json()).presentation_states;
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
    tile.onFrame(() => states.tell(tile));
    tile.onDrawn(() => states.draw(tile));
  });
  viewer.registerAction("presentation", () => states.next());
  viewer.registerKey("Q", "Presentation state: apply the next one, none", () => states.next());
}
