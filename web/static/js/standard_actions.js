/** What every viewer can do: its buttons and keys. */

import { KeyMap } from "./key_map.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

const STEP_PX = 24;
const PAN_PX = 40;

/** @param {Viewer} viewer */
export function registerStandard(viewer) {
  scrolling(viewer);
  looking(viewer);
  windowing(viewer);
  tools(viewer);
  const keyMap = new KeyMap(viewer.actions);
  viewer.registerAction("help", () => keyMap.open());
  viewer.registerKey("?", "This page", () => keyMap.open());
  viewer.registerKey("H", "This page", () => keyMap.open());
  viewer.registerKey("F1", "This page", () => keyMap.open());
}

/** @param {Viewer} viewer */
function scrolling(viewer) {
  const by = (/** @type {number} */ steps) => viewer.active.scrollBy(steps);
  const first = () => viewer.active.scrollTo(0);
  const last = () => viewer.active.scrollTo(viewer.active.slices.length - 1);
  viewer.registerAction("scroll", ({ value }) => by(Number(value)));
  viewer.registerAction("first", first);
  viewer.registerAction("last", last);
  viewer.registerAction("series", ({ value }) => viewer.seriesBy(Number(value)));
  for (const key of ["ArrowUp", "ArrowLeft"]) viewer.registerKey(key, "Previous image", () => by(-1));
  for (const key of ["ArrowDown", "ArrowRight"]) viewer.registerKey(key, "Next image", () => by(1));
  viewer.registerKey("Home", "First image", first);
  viewer.registerKey("End", "Last image", last);
  viewer.registerKey("Shift+PageUp", "Ten images back", () => by(-10));
  viewer.registerKey("Shift+PageDown", "Ten images on", () => by(10));
  viewer.registerKey("PageUp", "Previous series", () => viewer.seriesBy(-1));
  viewer.registerKey("PageDown", "Next series", () => viewer.seriesBy(1));
}

/** @param {Viewer} viewer */
function tools(viewer) {
  viewer.registerAction("tool", ({ value }) => viewer.chooseTool(String(value)));
  const letters = { W: "window", S: "scroll", Z: "zoom", T: "pan" };
  const words = { W: "Left button: window", S: "Left button: scroll", Z: "Left button: zoom", T: "Left button: move" };
  for (const key of /** @type {(keyof typeof letters)[]} */ (Object.keys(letters))) {
    viewer.registerKey(key, words[key], () => viewer.chooseTool(letters[key]));
  }
}

/** @param {Viewer} viewer */
function looking(viewer) {
  const zoom = (/** @type {number} */ factor) => viewer.active.viewport.zoomBy(factor);
  const fit = () => viewer.active.viewport.look({ zoom: null, pan: { x: 0, y: 0 } });
  viewer.registerAction("zoom", ({ value }) => zoom(Number(value)));
  const oneToOne = () => viewer.active.viewport.look({ zoom: 1, pan: { x: 0, y: 0 } });
  const pan = (/** @type {number} */ right, /** @type {number} */ down) => viewer.active.viewport.panBy(right * PAN_PX, down * PAN_PX);
  viewer.registerAction("fit", fit);
  viewer.registerAction("oneToOne", oneToOne);
  viewer.registerAction("pan", ({ right, down }) => pan(Number(right || 0), Number(down || 0)));
  viewer.registerAction("reset", () => reset(viewer));
  viewer.registerKey("+", "Larger", () => zoom(1.25));
  viewer.registerKey("=", "", () => zoom(1.25));
  viewer.registerKey("-", "Smaller", () => zoom(0.8));
  viewer.registerKey("F", "Fit to the tile", fit);
  viewer.registerKey("Shift+Z", "One to one", oneToOne);
  for (const [key, right, down] of /** @type {[string, number, number][]} */ ([["ArrowLeft", -1, 0], ["ArrowRight", 1, 0], ["ArrowUp", 0, -1], ["ArrowDown", 0, 1]])) {
    viewer.registerKey(`Ctrl+${key}`, "Move the picture", () => pan(right, down));
  }
  viewer.registerKey("Escape", "Reset window, zoom and place; the image stays", () => reset(viewer));
}

/** @param {Viewer} viewer */
function reset(viewer) {
  viewer.active.reset();
  viewer.showAround();
}

/** @param {Viewer} viewer */
function windowing(viewer) {
  const step = (/** @type {number} */ right, /** @type {number} */ up) => {
    viewer.active.beginDrag();
    viewer.active.dragWindow(right * STEP_PX, up * STEP_PX);
    viewer.active.endDrag();
    viewer.showAround();
  };
  const invert = () => {
    viewer.active.invert();
    viewer.showAround();
  };
  viewer.registerAction("window", ({ right, up }) => step(Number(right || 0), Number(up || 0)));
  viewer.registerAction("invert", invert);
  viewer.registerKey("N", "Invert", invert);
  viewer.registerKey("Shift+ArrowUp", "Brighter", () => step(0, 1));
  viewer.registerKey("Shift+ArrowDown", "Darker", () => step(0, -1));
  viewer.registerKey("Shift+ArrowLeft", "More contrast", () => step(-1, 0));
  viewer.registerKey("Shift+ArrowRight", "Less contrast", () => step(1, 0));
  for (let digit = 0; digit <= 9; digit += 1) viewer.registerKey(String(digit), "", () => viewer.presets.key(digit));
}
