/** Running through the stack of the active tile by itself. */

import { write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

const RATES = [1, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30];
const USUAL_RATE = 10;

export class Cine {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** Images a second. */
    this.rate = USUAL_RATE;
    /** @type {Tile | null} the one that runs */
    this.tile = null;
    this.timer = 0;
  }

  toggle() {
    if (this.tile) this.stop();
    else this.start();
  }

  start() {
    if (this.viewer.active.slices.length < 2) return;
    this.tile = this.viewer.active;
    this.tile.viewport.isMoving = true;
    this.show();
    this.step(performance.now());
  }

  stop() {
    if (!this.tile) return;
    clearTimeout(this.timer);
    const { tile } = this;
    this.tile = null;
    tile.viewport.isMoving = false;
    tile.viewport.draw();
    this.show();
  }

  /**
   * Go on when the image is drawn; the rate is kept as well as the line allows.
   * @param {number} due
   */
  step(due) {
    const { tile } = this;
    if (!tile) return;
    if (!tile.slices.length || tile !== this.viewer.active) return this.stop();
    const isDrawn = tile.frame && tile.frame.slice.key === tile.slice?.key;
    if (isDrawn) tile.scrollBy(1, true);
    const next = Math.max(due + 1000 / this.rate, performance.now());
    this.timer = window.setTimeout(() => this.step(next), Math.max(0, next - performance.now()));
  }

  /** @param {number} steps faster or slower */
  faster(steps) {
    const at = RATES.indexOf(this.rate) + steps;
    this.rate = RATES[Math.max(0, Math.min(RATES.length - 1, at))];
    this.show();
  }

  show() {
    const button = document.querySelector('button[data-action="cine"]');
    if (button) button.setAttribute("aria-pressed", String(Boolean(this.tile)));
    write(document.getElementById("cine-rate"), `${this.rate}/s`);
  }
}

/** @param {Viewer} viewer */
export function installCine(viewer) {
  const cine = new Cine(viewer);
  viewer.cine = cine;
  viewer.registerAction("cine", () => cine.toggle());
  viewer.registerAction("cineRate", ({ value }) => cine.faster(Number(value)));
  viewer.registerKey("C", "Cine: run through the stack, stop", () => cine.toggle());
  viewer.registerKey(">", "Cine faster", () => cine.faster(1));
  viewer.registerKey("<", "Cine slower", () => cine.faster(-1));
  document.addEventListener("pointerdown", (event) => {
    if (event.target === cine.tile?.canvas) cine.stop();
  });
}
