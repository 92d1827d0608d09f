/** Key images: those marked here, and those a key object note of the study names. */

import { KeyFilter } from "./key_filter.js";
import { frameKey, markId, newMark } from "./mark_kinds.js";
import { ask, timeout, write } from "./page.js";
import { counted } from "./text.js";

/** @typedef {import("./marks.js").Marks} Marks */
/** @typedef {{title: string, modifiers: string[], description: string, references: {sop_instance_uid: string, frame_numbers: number[]}[]}} KeyObjects */

export class KeyImages {
  /** @param {Marks} marks */
  constructor(marks) {
    this.marks = marks;
    /** @type {Map<string, KeyObjects[]>} by study; of those that answered */
    this.notesOf = new Map();
    /** @type {Map<string, string>} in which state a study was when it was asked for its notes */
    this.asked = new Map();
    this.shown = "";
    /** @type {Set<string>} images and frames that notes name */
    this.named = new Set();
    /** @type {Set<string>} frames that were marked here */
    this.marked = new Set();
    this.filter = new KeyFilter(this);
    this.list = /** @type {HTMLElement} */ (document.getElementById("key-objects"));
    marks.viewer.registerAction("key-image", () => this.toggle());
    marks.viewer.registerAction("go-to-key", (/** @type {DOMStringMap} */ { value }) => this.goTo(String(value)));
    marks.viewer.registerKey("K", "Mark the image as a key image, or no longer", () => this.toggle());
  }

  /** @returns {KeyObjects[]} those of the study in the active tile */
  get notes() {
    const { active, study } = this.marks.viewer;
    return this.notesOf.get((active.study || study).uid) || [];
  }

  /** @returns {import("./mark_kinds.js").Mark | undefined} that makes the viewed image a key image */
  current() {
    return this.marks.marksOn(this.marks.viewer.active).find((mark) => mark.kind === "key");
  }

  /** Mark the viewed image, or take its mark away. */
  toggle() {
    const { frame } = this.marks.viewer.active;
    if (!frame) return;
    const before = this.current();
    const id = markId(crypto.getRandomValues(new Uint8Array(16)));
    this.marks.list.change([{ before, after: before ? undefined : newMark("key", frame.slice, [], id) }]);
  }

  /**
   * Ask for the key object notes of every open study that has changed.
   * @returns {Promise<void>}
   */
  async refresh() {
    await Promise.all([...this.marks.viewer.studies.values()].map((study) => this.refreshStudy(study)));
  }

  /** @param {import("./study.js").Study} study */
  async refreshStudy({ uid, facts }) {
    const state = String(facts?.number_of_study_related_instances ?? "");
    if (!facts || state === this.asked.get(uid)) return;
    this.asked.set(uid, state);
    try {
      const answer = await ask(`/api/v1/studies/${uid}/presentation-states`, { signal: timeout(8000) });
      this.notesOf.set(uid, (await answer.json()).key_objects);
      this.show();
    } catch (error) {
      this.asked.delete(uid); // asked again with the next refresh
    }
  }

  /**
   * @param {string} studyUid
   * @returns {boolean} whether it is known which of its images are key images
   */
  isKnown(studyUid) {
    return this.notesOf.has(studyUid) && Boolean(this.marks.lists.get(studyUid)?.isTold);
  }

  /**
   * @param {import("./stack.js").Slice} slice
   * @returns {boolean} whether it is shown when only key images are
   */
  isLetThrough(slice) {
    return !this.isKnown(slice.study_instance_uid) || this.isKey(slice);
  }

  /**
   * @param {import("./stack.js").Slice} slice
   * @returns {boolean} whether it is a key image
   */
  isKey(slice) {
    return this.marked.has(slice.key) || this.named.has(slice.key) || this.named.has(slice.sop_instance_uid);
  }

  /** Gather what is marked and named, of all studies that are open. */
  gather() {
    const marks = [...this.marks.lists.values()].flatMap((list) => [...list.marks.values()]);
    this.marked = new Set(marks.filter((mark) => mark.kind === "key").map(frameKey));
    const references = [...this.notesOf.values()].flat().flatMap((note) => note.references);
    this.named = new Set(references.flatMap(({ sop_instance_uid, frame_numbers }) => (frame_numbers.length ? frame_numbers.map((number) => `${sop_instance_uid}#${number}`) : [sop_instance_uid])));
  }

  show() {
    const { active } = this.marks.viewer;
    this.gather();
    if (this.filter.isOn) this.filter.show();
    const isKey = this.current() !== undefined;
    for (const button of document.querySelectorAll('.toolbar button[data-action="key-image"]')) button.setAttribute("aria-pressed", String(isKey));
    for (const tile of this.marks.viewer.tiles) this.sign(tile);
    const shown = JSON.stringify([active.study?.uid, this.notes]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.list.textContent = "";
    for (const [at, note] of this.notes.entries()) this.list.append(this.entry(note, at));
    const chip = document.getElementById("key-objects-chip");
    if (chip) chip.hidden = this.notes.length === 0;
    write(document.getElementById("key-objects-count"), counted(this.notes.length, "key object note"));
  }

  /**
   * Say on the tile that its image is a key image.
   * @param {import("./tile.js").Tile} tile
   */
  sign(tile) {
    const isMarked = this.marks.marksOn(tile).some((mark) => mark.kind === "key");
    const notes = this.notesOf.get(tile.study?.uid || "") || [];
    const isNamed = tile.frame ? notes.some((note) => names(note, tile.frame?.slice)) : false;
    tile.root.dataset.key = isMarked ? "marked" : isNamed ? "named" : "";
  }

  /**
   * @param {KeyObjects} note
   * @param {number} at
   * @returns {Element}
   */
  entry(note, at) {
    const item = document.createElement("li");
    const title = document.createElement("p");
    write(title, [note.title || "Key object note", ...note.modifiers].join(" · "));
    item.append(title);
    if (note.description) item.append(said(note.description));
    const images = document.createElement("div");
    images.className = "key-references";
    note.references.slice(0, MOST_BUTTONS).forEach((reference, index) => images.append(this.button(reference, `${at}/${index}`)));
    item.append(images);
    if (note.references.length > MOST_BUTTONS) item.append(said(`and ${note.references.length - MOST_BUTTONS} more`));
    return item;
  }

  /**
   * @param {KeyObjects["references"][0]} reference
   * @param {string} value
   * @returns {Element}
   */
  button(reference, value) {
    const place = this.marks.placeOf({ sop_instance_uid: reference.sop_instance_uid, frame_number: reference.frame_numbers[0] || 1 });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.dataset.action = "go-to-key";
    button.dataset.value = value;
    button.disabled = !place;
    write(button, place ? `Image ${place.index + 1}` : "Image not here");
    return button;
  }

  /** @param {string} value place of the note, and of the reference in it */
  goTo(value) {
    const [note, index] = value.split("/").map(Number);
    const reference = this.notes[note]?.references[index];
    if (reference) this.marks.jumpTo({ sop_instance_uid: reference.sop_instance_uid, frame_number: reference.frame_numbers[0] || 1 });
  }
}

const MOST_BUTTONS = 60;

/**
 * @param {string} words
 * @returns {Element}
 */
function said(words) {
  const text = document.createElement("p");
  text.className = "soft";
  write(text, words);
  return text;
}

/**
 * @param {KeyObjects} note
 * @param {import("./stack.js").Slice | undefined} slice
 * @returns {boolean}
 */
function names(note, slice) {
  return Boolean(slice && note.references.some((one) => one.sop_instance_uid === slice.sop_instance_uid && (!one.frame_numbers.length || one.frame_numbers.includes(slice.frame_number))));
}
