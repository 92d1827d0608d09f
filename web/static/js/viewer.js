/** The viewer: its tiles, the study they show, what people can do, and what is around the tiles. */

import { Actions } from "./actions.js";
import { FrameStore } from "./frames.js";
import { Listeners } from "./listeners.js";
import { Changes, NodeClock, setChip, setReceived, write } from "./page.js";
import { bindPointers, bindWheel } from "./pointers.js";
import { PresetList } from "./preset_list.js";
import { registerStandard } from "./standard_actions.js";
import { Strip } from "./strip.js";
import { Study } from "./study.js";
import { showBanner } from "./texts.js";
import { Tile } from "./tile.js";
import { basicTools } from "./tools.js";

/** @typedef {import("./tools.js").Tool} Tool */

export class Viewer {
  /** @param {string} studyUid */
  constructor(studyUid) {
    /** The study the page was opened for. */
    this.study = new Study(studyUid);
    this.store = new FrameStore();
    this.clock = new NodeClock(document.body.dataset.now || "");
    this.actions = new Actions();
    /** @type {Map<string, Tool>} */
    this.tools = new Map();
    this.leftTool = "window";
    /** @type {import("./tile.js").DocumentKind[]} */
    this.documents = [];
    this.activeListeners = new Listeners();
    /** @type {Tile[]} in reading order */
    this.tiles = [];
    this.stage = /** @type {HTMLElement} */ (document.getElementById("tiles"));
    this.strip = new Strip(/** @type {HTMLElement} */ (document.getElementById("strip")), studyUid, (at) => this.chooseSeries(at));
    this.presets = new PresetList(this);
    this.changes = new Changes({ onChange: () => this.refresh(), onBack: () => this.tiles.forEach((tile) => tile.retry()) });
    for (const tool of basicTools()) this.registerTool(tool);
    registerStandard(this);
    this.active = this.addTile();
    this.activate(this.active);
  }

  async start() {
    this.actions.bindButtons(document);
    this.actions.bindKeys(document);
    setInterval(() => this.tick(), 1000);
    try {
      await this.refresh();
    } catch (error) {
      this.active.refuse(error);
    }
    this.changes.start();
  }

  /* What other modules add. */

  /** Give buttons with that `data-action` their work. @param {string} name @param {import("./actions.js").Action} act gets the button's data */
  registerAction(name, act) {
    this.actions.register(name, act);
  }

  /** Give a key its work; it appears on the map of keys. @param {string} key @param {string} words @param {() => void} act */
  registerKey(key, words, act) {
    this.actions.registerKey(key, words, act);
  }

  /** Offer a tool for the left button, chosen by `chooseTool` or a button. @param {Tool} tool */
  registerTool(tool) {
    this.tools.set(tool.name, tool);
  }

  /**
   * Show instances without a picture.
   * @param {import("./tile.js").DocumentKind["canShow"]} canShow
   * @param {import("./tile.js").DocumentKind["show"]} show
   */
  registerDocument(canShow, show) {
    this.documents.push({ canShow, show });
  }

  /** Call a function when another tile becomes the active one. @param {() => void} act @returns {() => void} ends it */
  onActive(act) {
    return this.activeListeners.add(act);
  }

  /* Tiles. */

  /** @returns {Tile} */
  addTile() {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("tile"));
    const root = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
    this.stage.append(root);
    const tile = new Tile(root, { store: this.store, documents: this.documents });
    this.tiles.push(tile);
    const chosen = { toolNamed: (/** @type {string} */ name) => this.toolNamed(name), toolName: () => this.leftTool, activate: (/** @type {Tile} */ one) => this.activate(one) };
    bindPointers(tile, chosen);
    bindWheel(tile, chosen);
    root.addEventListener("focusin", () => this.activate(tile));
    tile.onFrame(() => tile.isActive && this.showAround());
    tile.canvas.style.cursor = this.toolNamed(this.leftTool).cursor || "default";
    return tile;
  }

  /** @param {Tile} tile */
  activate(tile) {
    if (this.active === tile && tile.isActive) return;
    this.active = tile;
    for (const one of this.tiles) {
      one.isActive = one === tile;
      one.root.dataset.active = String(one.isActive);
    }
    this.showAround();
    this.activeListeners.call();
  }

  /** Bring banner, presets and strip to what the active tile shows. */
  showAround() {
    const { frame, study, seriesUid } = this.active;
    if (frame) showBanner(frame.info);
    this.presets.show(this.active);
    if (study === this.study) this.strip.mark(study.placeOf(seriesUid));
    document.querySelector('button[data-action="invert"]')?.setAttribute("aria-pressed", String(this.active.isInverted));
  }

  /* What the study holds. */

  async refresh() {
    this.clock.set(await this.study.refresh());
    const { series } = this.study;
    for (const tile of this.tiles) if (tile.study === this.study) tile.grow();
    if (!this.active.study) this.chooseSeries(this.study.firstToShow());
    this.strip.show(series, this.study.placeOf(this.active.seriesUid));
    this.tick();
  }

  /** Show a series in the active tile. @param {number} at its place in display order */
  chooseSeries(at) {
    this.active.show(this.study, at);
    this.showAround();
  }

  tick() {
    const { facts } = this.study;
    if (!facts) return;
    setReceived(document.querySelector('[data-field="received"]'), facts.last_received_at, this.clock);
    setChip(document.querySelector('[data-field="delivery"]'), facts.delivery.state, facts.delivery.words);
    const conflict = document.querySelector('[data-field="conflict"]');
    if (conflict instanceof HTMLElement) conflict.hidden = !facts.display.conflict;
    setChip(conflict, "attention", facts.display.conflict);
    write(document.getElementById("study-count"), facts.display.held);
  }

  /* What people do. */

  /** @param {string} name @returns {Tool} */
  toolNamed(name) {
    return /** @type {Tool} */ (this.tools.get(name) || this.tools.get("window"));
  }

  /** Give the left button a tool. @param {string} name */
  chooseTool(name) {
    this.leftTool = name;
    for (const tile of this.tiles) {
      tile.canvas.dataset.tool = name;
      tile.canvas.style.cursor = this.toolNamed(name).cursor || "default";
    }
    for (const button of document.querySelectorAll('button[data-action="tool"]')) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-value") === name));
    }
  }

  /** @param {number} steps */
  seriesBy(steps) {
    const { study, seriesUid } = this.active;
    if (!study) return;
    const next = Math.max(0, Math.min(study.series.length - 1, study.placeOf(seriesUid) + steps));
    this.active.show(study, next);
    this.showAround();
  }
}
