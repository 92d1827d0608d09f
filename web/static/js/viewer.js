/** The viewer: its tiles, the study they show, what people can do, and what is around the tiles. */

import { Actions } from "./actions.js";
import { installAnnotations } from "./annotation_level.js";
import { installCine } from "./cine.js";
import { installCompare } from "./compare.js";
import { firstPicture, written } from "./first_picture.js";
import { FrameStore, ReducedStore } from "./frames.js";
import { installJumpBox } from "./jump_box.js";
import { installLayout } from "./layout.js";
import { LineSpeed } from "./line_speed.js";
import { installLinks } from "./links.js";
import { Listeners } from "./listeners.js";
import { Changes, NodeClock, setChip, setReceived, write } from "./page.js";
import { watchPatients } from "./patients.js";
import { bindPointers, bindWheel } from "./pointers.js";
import { installOverlays } from "./overlays.js";
import { installPresentationStates } from "./presentation_states.js";
import { PresetList } from "./preset_list.js";
import { previewFrame, PreviewStore } from "./previews.js";
import { ReadAhead } from "./read_ahead.js";
import { registerStandard } from "./standard_actions.js";
import { slicesOf } from "./stack.js";
import { Strip } from "./strip.js";
import { Study } from "./study.js";
import { showBanner } from "./texts.js";
import { Tile } from "./tile.js";
import { installToolMenu } from "./tool_menu.js";
import { basicTools } from "./tools.js";
import { installTurning } from "./turning.js";

/** @typedef {import("./tools.js").Tool} Tool */

const NOTE_MS = 5000;
/** A new image is told within two seconds: this, and the time of two answers. */
const LOOK_MS = 1000;

export class Viewer {
  /** @param {string} studyUid */
  constructor(studyUid) {
    const told = written(document, "study-answer");
    /** The study the page was opened for. */
    this.study = new Study(studyUid, told);
    /**
     * All that are open: this one and those it is compared with.
     * @type {Map<string, Study>}
     */
    this.studies = new Map([[studyUid, this.study]]);
    this.stores = newStores();
    this.clock = new NodeClock(document.body.dataset.now || "");
    this.actions = new Actions();
    /** @type {Map<string, Tool>} */
    this.tools = new Map();
    this.leftTool = "window";
    /** The tool of one finger. */
    this.touchTool = "scroll";
    /** What was used last: `mouse`, `pen` or `touch`. */
    this.pointerType = "";
    /** @type {import("./tile.js").DocumentKind[]} */
    this.documents = [];
    this.activeListeners = new Listeners();
    this.toolListeners = new Listeners();
    this.drawnListeners = new Listeners();
    /** @type {Tile[]} in reading order */
    this.tiles = [];
    /** @type {(() => void)[]} */
    this.startActs = [];
    this.isStarted = false;
    /** @type {((tile: Tile) => void)[]} */
    this.tileActs = [];
    this.noteTimer = /** @type {any} */ (0);
    this.stage = /** @type {HTMLElement} */ (document.getElementById("tiles"));
    this.strip = new Strip(/** @type {HTMLElement} */ (document.getElementById("strip")), (at) => this.chooseSeries(at));
    this.presets = new PresetList(this);
    this.changes = new Changes({ every: LOOK_MS, onChange: () => this.refresh(), onBack: () => this.askAgain(), revision: told?.revision });
    for (const tool of basicTools()) this.registerTool(tool);
    /** @type {import("./links.js").Links | null} */
    this.links = null;
    /** @type {import("./layout.js").Layout | null} */
    this.layout = null;
    /** @type {import("./cine.js").Cine | null} */
    this.cine = null;
    registerStandard(this);
    for (const install of [installLinks, installLayout, installCine, installTurning, installCompare, installAnnotations, installOverlays, installPresentationStates, installJumpBox, installToolMenu, watchPatients]) install(this);
    this.active = this.addTile();
    this.activate(this.active);
  }

  async start() {
    this.actions.bindButtons(document);
    document.addEventListener("pointerdown", (event) => (this.pointerType = event.pointerType), { capture: true });
    if (isForHands()) this.chooseTool("scroll");
    this.actions.bindKeys(document);
    setInterval(() => this.tick(), 1000);
    const came = await firstPicture(document);
    if (came) this.stores.previews.offer(came);
    try {
      await this.refresh();
    } catch (error) {
      this.active.refuse(error);
    }
    this.changes.start();
    this.isStarted = true;
    for (const act of this.startActs) act();
  }

  /**
   * Call a function once, when the study is open.
   * @param {() => void} act
   */
  onStart(act) {
    if (this.isStarted) act();
    else this.startActs.push(act);
  }

  /* What other modules add. */

  /**
   * Give buttons with that `data-action` their work.
   * @param {string} name
   * @param {import("./actions.js").Action} act gets the button's data
   */
  registerAction(name, act) {
    this.actions.register(name, act);
  }

  /**
   * Give a key its work; it appears on the map of keys.
   * @param {string} key
   * @param {string} words
   * @param {() => void} act
   */
  registerKey(key, words, act) {
    this.actions.registerKey(key, words, act);
  }

  /**
   * Offer a tool for the left button, chosen by `chooseTool` or a button.
   * @param {Tool} tool
   */
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
    for (const tile of this.tiles) if (tile.frame?.reason) tile.adopt(tile.frame, null, null);
  }

  /**
   * Call a function when another tile becomes the active one.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onActive(act) {
    return this.activeListeners.add(act);
  }

  /**
   * Call a function when the left button gets a tool.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onTool(act) {
    return this.toolListeners.add(act);
  }

  /**
   * Call a function whenever any tile was drawn, or emptied.
   * @param {() => void} act
   * @returns {() => void} ends it
   */
  onDrawn(act) {
    return this.drawnListeners.add(act);
  }

  /**
   * Tell people something in passing.
   * @param {string} words
   */
  say(words) {
    const note = /** @type {HTMLElement} */ (document.getElementById("note"));
    write(note, words);
    note.hidden = false;
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => (note.hidden = true), NOTE_MS);
  }

  /* Tiles. */

  /**
   * Call a function with every tile: those there are, and those that come.
   * @param {(tile: Tile) => void} act
   */
  onTile(act) {
    this.tileActs.push(act);
    this.tiles.forEach(act);
  }

  /** @returns {Tile} */
  addTile() {
    const root = this.tiles.length ? newTileRoot() : this.stage.querySelector("section") || newTileRoot();
    this.stage.append(root);
    const tile = new Tile(root, { stores: this.stores, documents: this.documents });
    this.tiles.push(tile);
    const chosen = {
      toolNamed: (/** @type {string} */ name) => this.toolNamed(name),
      toolName: (/** @type {string} */ pointerType) => (pointerType === "touch" ? this.touchTool : this.leftTool),
      activate: (/** @type {Tile} */ one) => this.activate(one),
      openMenu: () => this.actions.actions.get("menu")?.({}),
    };
    bindPointers(tile, chosen);
    bindWheel(tile, chosen);
    root.addEventListener("focusin", () => this.activate(tile));
    tile.onFrame(() => tile.isActive && this.showAround());
    tile.onFrame(() => this.drawnListeners.call());
    tile.onDrawn(() => this.drawnListeners.call());
    tile.onSlice(() => tile.isActive && this.links?.follow(tile));
    tile.canvas.style.cursor = this.toolNamed(this.leftTool).cursor || "default";
    for (const act of this.tileActs) act(tile);
    return tile;
  }

  /** @param {Tile} tile one that is not active */
  removeTile(tile) {
    tile.empty();
    tile.root.remove();
    this.tiles = this.tiles.filter((one) => one !== tile);
    this.drawnListeners.call();
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
    const { frame, seriesUid } = this.active;
    const study = this.active.study || this.study;
    if (frame) showBanner(frame.info);
    this.presets.show(this.active);
    this.strip.show(study, study.placeOf(seriesUid));
    document.querySelector('button[data-action="invert"]')?.setAttribute("aria-pressed", String(this.active.isInverted));
    this.tick();
  }

  /* What the studies hold. */

  async refresh() {
    // one that is compared with may be away; that must not hold up the one that was opened
    const others = [...this.studies.values()].filter((study) => study !== this.study);
    const [now] = await Promise.all([this.study.refresh(), ...others.map((study) => study.refresh().catch(() => ""))]);
    if (now) this.clock.set(now);
    for (const tile of this.tiles) tile.grow();
    if (!this.active.study && this.tiles.length === 1) this.chooseSeries(this.study.firstToShow());
    this.showAround();
  }

  /** The node answers again: what was asked for over the broken line is asked for anew. */
  askAgain() {
    this.stores.frames.abandon();
    this.stores.previews.abandon();
    this.stores.reduced.abandon();
    for (const tile of this.tiles) tile.retry();
  }

  /**
   * Open another study beside this one.
   * @param {string} studyUid
   * @returns {Promise<Study>}
   */
  async open(studyUid) {
    const study = this.studies.get(studyUid) || new Study(studyUid);
    if (!study.facts) await study.refresh();
    this.studies.set(studyUid, study);
    return study;
  }

  /**
   * Show a series in the active tile.
   * @param {number} at its place in display order
   */
  chooseSeries(at) {
    this.active.show(this.active.study || this.study, at);
    this.showAround();
  }

  /** Bring what is said of the active tile's study up to date. */
  tick() {
    const { facts } = this.active.study || this.study;
    if (!facts) return;
    setReceived(document.querySelector('[data-field="received"]'), facts.last_received_at, this.clock);
    setChip(document.querySelector('[data-field="delivery"]'), facts.delivery.state, facts.delivery.words);
    const conflict = document.querySelector('[data-field="conflict"]');
    if (conflict instanceof HTMLElement) conflict.hidden = !facts.display.conflict;
    setChip(conflict, "attention", facts.display.conflict);
    write(document.getElementById("study-count"), facts.display.held);
  }

  /* What people do. */

  /**
   * @param {string} name
   * @returns {Tool}
   */
  toolNamed(name) {
    return /** @type {Tool} */ (this.tools.get(name) || this.tools.get("window"));
  }

  /**
   * Give the left button a tool.
   * @param {string} name
   */
  chooseTool(name) {
    this.leftTool = name;
    // a finger never changes the window unless a finger asked for it
    this.touchTool = name === "window" && this.pointerType !== "touch" ? "scroll" : name;
    for (const tile of this.tiles) {
      tile.canvas.dataset.tool = name;
      tile.canvas.style.cursor = this.toolNamed(name).cursor || "default";
    }
    for (const button of document.querySelectorAll('button[data-action="tool"]')) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-value") === name));
    }
    this.toolListeners.call();
  }

  /** @param {number} steps */
  seriesBy(steps) {
    const { study, seriesUid, filter } = this.active;
    if (!study) return;
    const isThere = (/** @type {number} */ at) => !filter || slicesOf(study.uid, study.series[at]).some(filter);
    let next = study.placeOf(seriesUid) + steps;
    while (study.series[next] && !isThere(next)) next += steps;
    this.active.show(study, next);
    this.showAround();
  }
}

/** @returns {boolean} whether fingers come first here: on a touch screen, and in a theatre */
function isForHands() {
  return matchMedia("(pointer: coarse)").matches || document.documentElement.classList.contains("wall");
}

/** @returns {HTMLElement} */
function newTileRoot() {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("tile"));
  return /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
}

/** @returns {import("./slice_loader.js").Stores} */
function newStores() {
  const speed = new LineSpeed(/** @type {any} */ (navigator).connection);
  const page = /** @type {PerformanceNavigationTiming | undefined} */ (performance.getEntriesByType("navigation")[0]);
  if (page) speed.note(page.encodedBodySize, page.responseEnd - page.responseStart);
  const readAhead = new ReadAhead(() => speed.atOnce());
  const previews = new PreviewStore(readAhead, speed);
  return {
    frames: new FrameStore(readAhead, speed),
    previews,
    reduced: new ReducedStore(readAhead, speed),
    previewFrame,
    isSoonHere: (info) => speed.isSoonHere(info),
    ahead: () => speed.ahead(),
    later: (act, ms) => setTimeout(act, ms),
  };
}
