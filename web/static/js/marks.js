/** Measurements, notes and key images: their tools, buttons and keys, and what is shown of them. */

import { KeyImages } from "./key_images.js";
import { Drafting, DRAFT_ID } from "./mark_drafting.js";
import { Grips } from "./mark_grips.js";
import { MarkKeys } from "./mark_keys.js";
import { KINDS } from "./mark_kinds.js";
import { MarkLayer } from "./mark_layer.js";
import { MarkList } from "./mark_list.js";
import { MarkNotice } from "./mark_notice.js";
import { MarkPanel } from "./mark_panel.js";
import { askNote } from "./mark_note.js";
import { isValid } from "./mark_values.js";
import { SettledStatistics } from "./settled_statistics.js";
import { slicesOf } from "./stack.js";

/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {import("./mark_kinds.js").Point} Point */
/** @typedef {import("./tile.js").Tile} Tile */
/** @typedef {import("./viewer.js").Viewer} Viewer */

const REFRESH_MS = 3000;
const TOOL_KEYS = { length: "D", angle: "A", cobb: "Shift+A", ellipse: "Shift+E", rectangle: "Shift+R", probe: "Shift+V", arrow: "Shift+N" };

export class Marks {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {Map<string, MarkList>} by study */
    this.lists = new Map();
    /** @type {Map<Tile, MarkLayer>} */
    this.layers = new Map();
    this.chosenId = "";
    this.isMeasuring = document.body.dataset.measurements !== "false";
    this.notice = new MarkNotice();
    this.isDue = false;
    this.statistics = new SettledStatistics((mark) => this.settled(mark));
    this.drafting = new Drafting({
      onChange: () => this.showSoon(),
      onDone: (tile, mark) => this.added(tile, mark),
      onBegin: () => this.notice.hideTip(),
      onClick: (tile, at) => this.chooseAt(tile, at, "mouse"),
    });
    this.grips = new Grips({
      layerOf: (tile) => this.layerOf(tile),
      marksOn: (tile) => this.marksOn(tile),
      isBusy: () => this.drafting.draft !== null,
      choose: (id) => this.choose(id),
      chosenId: () => this.chosenId,
      onChange: () => this.showSoon(),
      onDone: (tile, before, after) => this.listOn(tile).change([{ before, after }]),
    });
    this.keys = new MarkKeys(this);
    this.panel = new MarkPanel(this);
    this.keyImages = new KeyImages(this);
    this.addTools();
    this.addActions();
    viewer.onActive(() => this.left());
    viewer.onDrawn(() => this.followTiles());
    setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
    this.refresh();
  }

  /** @returns {MarkList} of the study in the active tile */
  get list() {
    return this.listOn(this.viewer.active);
  }

  /**
   * @param {Tile} tile
   * @returns {MarkList} of the study in a tile
   */
  listOn(tile) {
    return this.listOf(tile.study?.uid || this.viewer.study.uid);
  }

  /**
   * @param {string} studyUid
   * @returns {MarkList}
   */
  listOf(studyUid) {
    const known = this.lists.get(studyUid);
    if (known) return known;
    const list = new MarkList(studyUid, () => this.show());
    this.lists.set(studyUid, list);
    list.refresh();
    return list;
  }

  refresh() {
    this.followTiles();
    this.listOf(this.viewer.study.uid);
    for (const list of this.lists.values()) list.refresh();
    this.keyImages.refresh();
  }

  /** Give new tiles a layer, and forget those that are gone. */
  followTiles() {
    const { tiles } = this.viewer;
    for (const tile of this.layers.keys()) if (!tiles.includes(tile)) this.layers.delete(tile);
    for (const tile of tiles) if (!this.layers.has(tile)) this.showTile(tile);
  }

  /**
   * @param {Tile} tile
   * @returns {MarkLayer}
   */
  layerOf(tile) {
    const known = this.layers.get(tile);
    if (known) return known;
    const layer = new MarkLayer(tile, this.statistics);
    this.layers.set(tile, layer);
    tile.onDrawn(() => this.showTile(tile));
    tile.onFrame(() => this.frameChanged(tile));
    this.grips.bind(tile, (event, at) => this.clicked(tile, event, at));
    return layer;
  }

  /* What is shown. */

  /** Pointers move more often than screens change. */
  showSoon() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.show();
    });
  }

  show() {
    for (const tile of this.viewer.tiles) this.showTile(tile);
    this.panel.show();
    this.keyImages.show();
    const trouble = this.list.trouble;
    if (trouble) this.notice.trouble(trouble);
    else this.notice.clearTrouble();
    this.showButtons();
  }

  showButtons() {
    for (const [name, isPossible] of /** @type {[string, boolean][]} */ ([["undo-mark", this.list.done.length > 0], ["redo-mark", this.list.undone.length > 0], ["delete-mark", this.chosenOn(this.viewer.active) !== undefined]])) {
      for (const button of document.querySelectorAll(`.toolbar button[data-action="${name}"]`)) /** @type {HTMLButtonElement} */ (button).disabled = !isPossible;
    }
  }

  /** @param {Tile} tile */
  showTile(tile) {
    const cross = this.keys.cross && this.keys.cross.tile === tile ? this.keys.cross.at : null;
    const marks = [...this.marksOn(tile), ...this.drafting.marksOn(tile)];
    if (tile.frame && !tile.frame.pixels && marks.some((mark) => KINDS[mark.kind].hasValues)) tile.loader.needValues();
    this.layerOf(tile).draw(marks, { selectedId: this.chosenId, draftId: DRAFT_ID, cross });
  }

  /** @param {Mark} mark whose values are worked out now */
  settled(mark) {
    this.show();
    if (mark.mark_id === this.chosenId) this.panel.speak(mark);
  }

  /** @param {Tile} tile */
  frameChanged(tile) {
    this.drafting.leave(tile);
    this.grips.leave(tile);
    if (this.keys.cross?.tile === tile && !tile.frame) this.keys.cross = null;
    this.showTile(tile);
    this.showButtons();
    this.panel.show();
    this.keyImages.show();
  }

  /**
   * @param {Tile} tile
   * @returns {Mark[]} on the frame that is drawn, the one in the hand as it would be
   */
  marksOn(tile) {
    if (!tile.frame || !tile.study) return [];
    const { grip } = this.grips;
    const marks = this.listOf(tile.study.uid).onFrame(tile.frame.slice.key);
    return marks.filter((mark) => this.mayShow(mark)).map((mark) => (grip && grip.mark.mark_id === mark.mark_id ? grip.now : mark));
  }

  /**
   * @param {Mark} mark
   * @returns {boolean}
   */
  mayShow(mark) {
    return Boolean(KINDS[mark.kind]) && (this.isMeasuring || !KINDS[mark.kind].isMeasuring);
  }

  /* Choosing. */

  /** @param {string} markId "" for none */
  choose(markId) {
    if (this.chosenId === markId) return;
    this.grips.cancel();
    this.chosenId = markId;
    this.show();
  }

  /**
   * @param {Tile} tile
   * @returns {Mark | undefined} the chosen mark, if it lies on the image that is drawn
   */
  chosenOn(tile) {
    return this.marksOn(tile).find((one) => one.mark_id === this.chosenId);
  }

  /** @returns {{tile: Tile, mark: Mark} | null} the chosen mark, if it can be moved where people look */
  chosenHere() {
    const tile = this.viewer.active;
    const mark = this.chosenOn(tile);
    return mark && mark.points.length && tile.frame && isValid(mark, tile.frame) ? { tile, mark } : null;
  }

  /**
   * @param {Tile} tile
   * @param {PointerEvent} event
   * @param {Point} at
   */
  clicked(tile, event, at) {
    if (event.button === 0 && !KINDS[this.viewer.leftTool]) this.chooseAt(tile, at, event.pointerType);
  }

  /**
   * @param {Tile} tile
   * @param {Point} at on the screen
   * @param {string} pointerType
   * @returns {boolean} whether there is a mark
   */
  chooseAt(tile, at, pointerType) {
    const mark = this.grips.markAt(tile, at, pointerType);
    this.choose(mark ? mark.mark_id : "");
    return Boolean(mark);
  }

  /**
   * Show the image a mark lies on, in the active tile.
   * @param {{series_instance_uid?: string, sop_instance_uid: string, frame_number: number}} wanted
   * @returns {boolean} whether it is there
   */
  jumpTo(wanted) {
    const place = this.placeOf(wanted);
    if (!place) return false;
    const tile = this.viewer.active;
    tile.show(/** @type {any} */ (tile.study || this.viewer.study), place.series);
    tile.goTo(place.index);
    this.viewer.showAround();
    return true;
  }

  /**
   * @param {{sop_instance_uid: string, frame_number: number}} wanted
   * @returns {{series: number, index: number, number: number | null} | null}
   */
  placeOf({ sop_instance_uid, frame_number }) {
    const study = this.viewer.active.study || this.viewer.study;
    for (const [at, series] of study.series.entries()) {
      if (!series.instances.some((one) => one.sop_instance_uid === sop_instance_uid)) continue;
      const index = slicesOf(study.uid, series).findIndex((slice) => slice.key === `${sop_instance_uid}#${frame_number}`);
      if (index >= 0) return { series: at, index, number: series.series_number };
    }
    return null;
  }

  /* Changing. */

  /**
   * @param {Tile} tile
   * @param {Mark} mark
   */
  added(tile, mark) {
    this.listOn(tile).change([{ before: undefined, after: mark }]);
    this.choose(mark.mark_id);
    this.panel.speak(mark);
    if (mark.kind === "arrow") this.editNote(tile, mark);
  }

  /**
   * @param {Tile} tile
   * @param {Mark} mark
   */
  editNote(tile, mark) {
    const [at] = this.layerOf(tile).onScreen(mark).slice(-1);
    const list = this.listOn(tile); // the tile may show another study by then
    askNote(tile, at, mark.text, (text) => {
      const now = list.marks.get(mark.mark_id);
      if (now && now.text !== text) list.change([{ before: now, after: { ...now, text } }]);
    });
  }

  /** @param {string} [markId] by default the one that is chosen on the image people look at */
  remove(markId = this.chosenOn(this.viewer.active)?.mark_id || "") {
    const mark = this.list.marks.get(markId);
    if (!mark) return;
    this.grips.cancel();
    if (markId === this.chosenId) this.chosenId = "";
    this.list.change([{ before: mark, after: undefined }]);
    this.notice.offerUndo(`${KINDS[mark.kind].name} deleted.`);
  }

  undo() {
    this.cancel();
    this.list.undo();
    this.notice.hide();
  }

  redo() {
    this.cancel();
    this.list.redo();
  }

  isBusy() {
    return this.drafting.draft !== null || this.grips.grip !== null;
  }

  /** Another tile is the active one: what was not finished in the one before is given up. */
  left() {
    const { active } = this.viewer;
    const { draft } = this.drafting;
    const { grip } = this.grips;
    const { cross } = this.keys;
    if ([draft, grip, cross].some((one) => one && one.tile !== active)) this.cancel();
    this.show();
  }

  /** Give up what is being set or moved; what was stored stays. */
  cancel() {
    this.drafting.cancel();
    this.grips.cancel();
    this.keys.hide();
  }

  /**
   * Take the measurements away that were set in this page on the image that is viewed, as a reset
   * does; they can be brought back. Those of others stay.
   */
  clear() {
    const { mine } = this.list;
    const marks = this.marksOn(this.viewer.active).filter((mark) => KINDS[mark.kind].isMeasuring && mine.has(mark.mark_id));
    this.chosenId = "";
    if (!marks.length) return this.show();
    this.list.change(marks.map((mark) => ({ before: mark, after: undefined })));
    this.notice.offerUndo(marks.length === 1 ? "1 measurement taken off this image." : `${marks.length} measurements taken off this image.`);
  }

  /* Tools, buttons and keys. */

  addTools() {
    for (const [name, kind] of Object.entries(KINDS)) {
      if (kind.points && (this.isMeasuring || !kind.isMeasuring)) this.viewer.registerTool(this.drafting.tool(name));
    }
    for (const [name, key] of Object.entries(TOOL_KEYS)) {
      const words = `${KINDS[name].isMeasuring ? "Measure" : "Mark"}: ${KINDS[name].name.toLowerCase()}`;
      if (this.isMeasuring || !KINDS[name].isMeasuring) this.viewer.registerKey(key, words, () => this.useByKey(name));
    }
    // only for the map of keys: Enter and arrows are taken while something is measured or chosen
    this.viewer.registerKey("Enter + arrows", "While measuring, and with the cross-hair: cross on, set or take a point; move it, with Shift by 10", () => {});
    this.viewer.onTool(() => this.toolChanged());
  }

  /** @param {string} name */
  useByKey(name) {
    this.viewer.chooseTool(name);
    this.keys.show(this.viewer.active);
  }

  toolChanged() {
    const kind = KINDS[this.viewer.leftTool];
    this.cancel();
    if (kind) this.choose("");
    if (kind) this.notice.tip(`${kind.name}. ${kind.tip}: drag, tap, or press Enter.`);
    else this.notice.hide();
  }

  addActions() {
    const { viewer } = this;
    viewer.registerAction("undo-mark", () => this.undo());
    viewer.registerAction("redo-mark", () => this.redo());
    viewer.registerAction("delete-mark", () => this.remove());
    viewer.registerAction("marks", () => this.panel.toggle());
    viewer.registerAction("close-notice", () => this.notice.hide());
    for (const key of ["Delete", "Backspace"]) viewer.registerKey(key, "Delete the chosen mark", () => this.remove());
    viewer.registerKey("Y", "List of marks and key images", () => this.panel.toggle());
    const { reset } = Object.fromEntries(viewer.actions.actions);
    const both = (/** @type {DOMStringMap} */ data) => {
      reset(data);
      this.clear();
    };
    viewer.registerAction("reset", both);
    viewer.registerKey("Escape", "Reset window, zoom, place and the measurements set here; the image stays", () => both({}));
  }
}

/** @param {Viewer} viewer */
export function installMarks(viewer) {
  new Marks(viewer);
}
