/** The list of all marks of a study: where they are, what they say, and a way to each. */

import { frameKey, KINDS } from "./mark_kinds.js";
import { write } from "./page.js";

/** @typedef {import("./marks.js").Marks} Marks */
/** @typedef {import("./mark_kinds.js").Mark} Mark */

export class MarkPanel {
  /** @param {Marks} marks */
  constructor(marks) {
    this.marks = marks;
    this.root = /** @type {HTMLElement} */ (document.getElementById("marks-panel"));
    this.rows = /** @type {HTMLElement} */ (document.getElementById("marks-list"));
    this.spoken = /** @type {HTMLElement} */ (document.getElementById("marks-spoken"));
    this.template = /** @type {HTMLTemplateElement} */ (document.getElementById("mark-row"));
    /** @type {WeakMap<Mark, string>} what marks on images seen before said; one that was changed is another object */
    this.said = new WeakMap();
    this.shown = "";
    this.onlyKeys = false;
    marks.viewer.registerAction("go-to-mark", (/** @type {DOMStringMap} */ { value }) => this.goTo(String(value)));
    marks.viewer.registerAction("remove-mark", (/** @type {DOMStringMap} */ { value }) => this.marks.remove(String(value)));
    marks.viewer.registerAction("edit-note", (/** @type {DOMStringMap} */ { value }) => this.edit(String(value)));
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
    for (const button of document.querySelectorAll('.toolbar button[data-action="marks"]')) button.setAttribute("aria-pressed", String(!this.root.hidden));
    this.show();
    if (!this.root.hidden) /** @type {HTMLElement} */ (this.root.querySelector("button"))?.focus();
  }

  /** @param {boolean} onlyKeys whether other marks are left out */
  filter(onlyKeys) {
    this.onlyKeys = onlyKeys;
    this.show();
  }

  /** Draw the list anew when it would look different. */
  show() {
    this.remember();
    if (this.root.hidden) return;
    const rows = this.wanted().map((mark) => this.row(mark));
    const shown = JSON.stringify(rows);
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = document.activeElement instanceof HTMLElement && this.rows.contains(document.activeElement) ? document.activeElement.dataset : null;
    this.rows.textContent = "";
    for (const row of rows) this.rows.append(this.element(row));
    if (focused) /** @type {HTMLElement | null} */ (this.rows.querySelector(`[data-action="${focused.action}"][data-value="${focused.value}"]`))?.focus();
    const none = /** @type {HTMLElement} */ (document.getElementById("marks-none"));
    none.hidden = rows.length > 0;
    write(none, this.onlyKeys ? "No key images yet. K marks the image you look at." : "No marks yet.");
  }

  /** @returns {Mark[]} by image, in display order */
  wanted() {
    const { marks } = this.marks.list;
    const found = [...marks.values()].filter((mark) => this.marks.mayShow(mark) && (!this.onlyKeys || mark.kind === "key"));
    const order = new Map([...new Set(found.map(frameKey))].map((key, at) => [key, at]));
    const place = (/** @type {Mark} */ mark) => {
      const at = this.marks.placeOf(mark);
      return at ? at.series * 1e6 + at.index : 1e12 + (order.get(frameKey(mark)) || 0);
    };
    const places = new Map(found.map((mark) => [mark, place(mark)]));
    return found.sort((one, other) => (places.get(one) || 0) - (places.get(other) || 0));
  }

  /** Keep what marks say on the images that are seen; others are told from memory. */
  remember() {
    for (const tile of this.marks.viewer.tiles) {
      for (const mark of this.marks.marksOn(tile)) {
        const lines = mark.kind === "key" ? [] : this.marks.layerOf(tile).lines(mark);
        this.said.set(mark, lines[0] || "");
      }
    }
  }

  /** @param {Mark} mark */
  row(mark) {
    const place = this.marks.placeOf(mark);
    const series = place && place.number !== null ? ` · Series ${place.number}` : "";
    return {
      id: mark.mark_id,
      kind: mark.kind,
      title: KINDS[mark.kind].name,
      words: mark.kind === "arrow" ? mark.text || "No text" : this.said.get(mark) || "",
      where: place ? `Image ${place.index + 1}${series}` : "Image not here",
      isChosen: mark.mark_id === this.marks.chosenId,
      picture: mark.kind === "key" && place ? this.picture(mark) : "",
    };
  }

  /**
   * @param {Mark} mark
   * @returns {string} address of a small picture
   */
  picture(mark) {
    const study = this.marks.viewer.active.study?.uid || this.marks.viewer.study.uid;
    return `/dicom-web/studies/${study}/series/${mark.series_instance_uid}/instances/${mark.sop_instance_uid}/frames/${mark.frame_number}/rendered?viewport=96,96`;
  }

  /**
   * @param {ReturnType<MarkPanel["row"]>} row
   * @returns {Element}
   */
  element(row) {
    const item = /** @type {HTMLElement} */ (/** @type {Element} */ (this.template.content.firstElementChild).cloneNode(true));
    item.dataset.kind = row.kind;
    item.dataset.chosen = String(row.isChosen);
    for (const button of item.querySelectorAll("button")) button.dataset.value = row.id;
    for (const name of /** @type {("title" | "words" | "where")[]} */ (["title", "words", "where"])) write(item.querySelector(`[data-field="${name}"]`), row[name]);
    const use = /** @type {Element} */ (item.querySelector("use"));
    use.setAttribute("href", (use.getAttribute("href") || "").replace(/#.*/, `#mark-${row.kind}`));
    const picture = /** @type {HTMLImageElement} */ (item.querySelector("img"));
    picture.hidden = !row.picture;
    if (row.picture) picture.src = row.picture;
    /** @type {HTMLElement} */ (item.querySelector('[data-action="edit-note"]')).hidden = row.kind !== "arrow";
    item.querySelector('[data-action="remove-mark"]')?.setAttribute("aria-label", `Delete: ${row.title}, ${row.where}`);
    return item;
  }

  /** @param {string} markId */
  goTo(markId) {
    const mark = this.marks.list.marks.get(markId);
    if (!mark) return;
    this.marks.jumpTo(mark);
    if (mark.points.length) this.marks.choose(markId);
  }

  /** @param {string} markId */
  edit(markId) {
    this.goTo(markId);
    const tile = this.marks.viewer.active;
    const mark = this.marks.marksOn(tile).find((one) => one.mark_id === markId);
    if (mark) this.marks.editNote(tile, mark);
  }

  /**
   * Tell those who do not see the picture what was measured.
   * @param {Mark} mark
   */
  speak(mark) {
    this.remember();
    write(this.spoken, `${KINDS[mark.kind].name} ${this.said.get(mark) || ""}`);
  }
}
