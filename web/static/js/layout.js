/** How many tiles there are, which one fills the stage, and what new ones begin with. */

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./tile.js").Tile} Tile */

const TILES = /** @type {Record<string, number>} */ ({ "1x1": 1, "1x2": 2, "2x2": 4 });

export class Layout {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.name = "1x1";
  }

  /** @param {string} name 1x1, 1x2 or 2x2 */
  choose(name) {
    const { viewer } = this;
    this.maximise(null);
    this.name = name;
    viewer.stage.dataset.layout = name;
    while (viewer.tiles.length > TILES[name]) viewer.removeTile(this.lastIdle());
    while (viewer.tiles.length < TILES[name]) this.fill(viewer.addTile());
    for (const button of document.querySelectorAll('button[data-action="layout"]')) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-value") === name));
    }
    viewer.showAround();
  }

  /** Go on to more tiles, after the most to one. */
  next() {
    const names = Object.keys(TILES);
    this.choose(names[(names.indexOf(this.name) + 1) % names.length]);
  }

  /** @returns {Tile} the last one that is not active */
  lastIdle() {
    const idle = this.viewer.tiles.filter((tile) => !tile.isActive);
    return idle[idle.length - 1];
  }

  /**
   * Begin a tile with the next series that has pictures and is not shown.
   * @param {Tile} tile
   */
  fill(tile) {
    const { study, tiles } = this.viewer;
    const shown = new Set(tiles.map((one) => one.seriesUid));
    const at = study.series.findIndex((series) => !shown.has(series.series_instance_uid) && series.instances.some((/** @type {any} */ one) => one.rows));
    if (at >= 0) tile.show(study, at);
    else tile.empty();
  }

  /**
   * Let one tile fill the stage; null shows all again.
   * @param {Tile | null} tile
   */
  maximise(tile) {
    const { stage, tiles } = this.viewer;
    const isUndone = !tile || tile.root.dataset.maximised === "true";
    for (const one of tiles) one.root.dataset.maximised = String(!isUndone && one === tile);
    stage.dataset.maximised = String(!isUndone);
  }

  /** @param {number} steps through the tiles in reading order */
  activeBy(steps) {
    const { tiles, active } = this.viewer;
    const next = tiles[(tiles.indexOf(active) + steps + tiles.length) % tiles.length];
    this.viewer.activate(next);
    next.canvas.focus({ preventScroll: true });
  }
}

/** @param {Viewer} viewer */
export function installLayout(viewer) {
  const layout = new Layout(viewer);
  viewer.layout = layout;
  viewer.registerAction("layout", ({ value }) => layout.choose(String(value)));
  viewer.registerAction("maximise", () => layout.maximise(viewer.active));
  viewer.registerKey("Shift+L", "One, two or four tiles", () => layout.next());
  viewer.registerKey("V", "Next tile", () => layout.activeBy(1));
  viewer.registerKey("Enter", "One tile large, all tiles", () => layout.maximise(viewer.active));
  viewer.stage.addEventListener("dblclick", (event) => {
    const tile = viewer.tiles.find((one) => one.canvas === event.target);
    if (tile && viewer.pointerType !== "touch") layout.maximise(tile); // two taps fit the picture
  });
}
