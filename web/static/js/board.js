/** The studies board: search as you type, newest first, up to date by itself. */

import { Confirmation } from "./confirmation.js";
import { ask, Changes, NodeClock, Refused, setChip, timeout, write } from "./page.js";
import { bindRowKeys } from "./row_keys.js";
import { markSeen, readSeen } from "./seen.js";
import { arrange, fillRow, newRow, tickRow } from "./study_rows.js";
import { counted, sinceDays } from "./text.js";

/** @typedef {import("./study_rows.js").Study} Study */

/**
 * @typedef {object} Found
 * @property {Study[]} studies
 * @property {Record<string, number>} counts
 * @property {boolean} is_more
 * @property {boolean} is_hidden
 * @property {{errors: string[], words: string, without_images: string[]}} theatre_list
 * @property {{destination: string, state: string, words: string}[]} destinations
 * @property {string} now
 */

const TYPING_PAUSE_MS = 200;

class Board {
  constructor() {
    this.form = /** @type {HTMLFormElement} */ (document.getElementById("search"));
    this.list = /** @type {HTMLElement} */ (document.getElementById("studies"));
    this.template = /** @type {HTMLTemplateElement} */ (document.getElementById("study-row"));
    this.clock = new NodeClock(document.body.dataset.now || "");
    this.seen = readSeen(this.clock.now());
    this.days = "";
    this.asked = 0;
    this.isAnswered = false;
    this.isOpening = false;
    this.pause = 0;
    /** @type {Map<string, Study>} */
    this.studies = new Map();
    this.changes = new Changes({ onChange: () => this.refresh() });
    const dialog = document.getElementById("confirmation");
    this.confirmation = dialog ? new Confirmation(/** @type {HTMLDialogElement} */ (dialog), () => this.search()) : null;
  }

  start() {
    this.form.addEventListener("input", () => {
      this.isAnswered = false;
      this.isOpening = false;
      clearTimeout(this.pause);
      this.pause = window.setTimeout(() => this.search(), TYPING_PAUSE_MS);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.openOnly();
    });
    for (const button of this.form.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => this.chooseDays(/** @type {HTMLElement} */ (button)));
    }
    const date = this.field("study_date");
    if (date) date.addEventListener("input", () => this.chooseDays(null, false));
    document.getElementById("clear")?.addEventListener("click", () => this.clear());
    this.list.addEventListener("click", (event) => this.clicked(event));
    bindRowKeys(document, this.list, this.field("text"));
    window.addEventListener("pageshow", () => this.lookAtSeen());
    document.addEventListener("covered", () => (this.isOpening = false)); // whoever pressed Enter has gone
    setInterval(() => this.tick(), 1000);
    this.changes.start();
    this.search();
  }

  /**
   * @param {string} name
   * @returns {HTMLInputElement | null} a wall has fewer of them
   */
  field(name) {
    return /** @type {HTMLInputElement | null} */ (this.form.elements.namedItem(name));
  }

  /**
   * @param {string} name
   * @returns {string}
   */
  value(name) {
    return this.field(name)?.value.trim() || "";
  }

  /**
   * @param {HTMLElement | null} chosen
   * @param {boolean} [search]
   */
  chooseDays(chosen, search = true) {
    this.days = chosen?.dataset.days || "";
    const date = this.field("study_date");
    if (chosen && date) date.value = "";
    for (const button of this.form.querySelectorAll("[data-days]")) {
      const isOn = chosen ? button === chosen : !this.value("study_date") && !button.getAttribute("data-days");
      button.setAttribute("aria-pressed", String(isOn));
    }
    if (search) this.search();
  }

  clear() {
    this.form.reset();
    this.chooseDays(/** @type {HTMLElement | null} */ (this.form.querySelector('[data-days=""]')));
    this.field("text")?.focus();
  }

  /** @param {Event} event */
  clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const study = this.studies.get(target.closest(".study")?.getAttribute("data-study-instance-uid") || "");
    if (!study) return;
    if (target.closest("[data-confirm]")) this.confirmation?.open(study);
    else if (target.closest("a")) markSeen(study.study_instance_uid, this.clock.now());
  }

  /** Enter opens the study when exactly one is found for what is typed: of several, a person chooses. */
  openOnly() {
    this.isOpening = true;
    clearTimeout(this.pause);
    if (this.isAnswered) this.openNow();
    else this.search();
  }

  openNow() {
    this.isOpening = false;
    const rows = this.list.children;
    const link = rows.length === 1 && this.value("text") ? rows[0].querySelector("a") : null;
    if (link) link.click();
  }

  lookAtSeen() {
    this.seen = readSeen(this.clock.now());
    this.tick();
  }

  /** @returns {Record<string, string | number>} what the fields ask for */
  wanted() {
    return {
      text: this.value("text"),
      modality: this.value("modality"),
      theatre: this.value("theatre"),
      study_date: this.days ? sinceDays(Number(this.days), new Date()) : this.value("study_date").replace(/-/g, ""),
      limit: 100,
    };
  }

  /** Search now; the words travel in the body, never in an address. */
  async search() {
    try {
      await this.refresh();
      this.changes.found();
    } catch (error) {
      this.isOpening = false; // a study that opens by itself, much later, may be another person's
      if (error instanceof Refused) write(document.getElementById("tally"), error.message);
      else this.changes.lost();
    }
  }

  async refresh() {
    const turn = ++this.asked;
    const wanted = this.wanted();
    const answer = await ask("/api/v1/studies/search", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wanted),
      signal: timeout(8000),
    });
    const found = await answer.json();
    if (turn !== this.asked) return; // an answer to what was typed before
    this.isAnswered = true;
    this.clock.set(found.now);
    this.show(found, Boolean(wanted.text || wanted.modality || wanted.study_date || wanted.theatre));
    if (this.isOpening) this.openNow();
  }

  /**
   * @param {Found} found
   * @param {boolean} isFiltered
   */
  show(found, isFiltered) {
    const isFirst = this.studies.size === 0;
    const old = this.studies;
    this.studies = new Map(found.studies.map((study) => [study.study_instance_uid, study]));
    const rows = new Map([...this.list.children].map((row) => [row.getAttribute("data-study-instance-uid"), row]));
    const wanted = found.studies.map((study) => {
      const row = rows.get(study.study_instance_uid) || newRow(this.template, study, !isFirst && !isFiltered);
      fillRow(row, study, old.get(study.study_instance_uid));
      return row;
    });
    arrange(this.list, wanted);
    this.frame(found, isFiltered);
    this.showTheatreList(found.theatre_list);
    this.tick();
  }

  /**
   * Everything around the rows: how many, none found, none held, where they are returned to.
   * @param {Found} found
   * @param {boolean} isFiltered
   */
  frame(found, isFiltered) {
    const held = `${counted(found.counts.studies, "study")}, ${counted(found.counts.instances, "image")}`;
    const some = found.studies.length;
    const newest = found.is_more ? `The newest ${some} are shown; search to find older ones. ` : "";
    const list = this.value("theatre") && found.theatre_list.words ? `${found.theatre_list.words}. ` : "";
    const words = isFiltered ? `${list}${some}${found.is_more ? " or more" : ""} found. This node holds ${held}.` : `${newest}This node holds ${held}.`;
    write(document.getElementById("tally"), words);
    write(document.querySelector("#nothing-found [data-words]"), held);
    this.toggle("ask", found.is_hidden && found.counts.instances > 0);
    this.toggle("nothing-found", some === 0 && !found.is_hidden && found.counts.instances > 0 && found.theatre_list.without_images.length === 0);
    this.toggle("nothing-held", found.counts.instances === 0);
    this.toggle("tally", found.counts.instances > 0);
    const heads = document.querySelector(".heads");
    if (heads instanceof HTMLElement) heads.hidden = some === 0;
    for (const place of found.destinations) {
      setChipOf(document.querySelector(`[data-destination="${CSS.escape(place.destination)}"]`), place);
    }
  }

  /** @param {Found["theatre_list"]} list */
  showTheatreList(list) {
    this.toggle("theatre-errors", list.errors.length > 0);
    write(document.querySelector("#theatre-errors [data-words]"), list.errors.join(" "));
    this.toggle("without-images", list.without_images.length > 0);
    const all = document.querySelector("#without-images ul");
    if (!all) return;
    while (all.firstChild) all.firstChild.remove();
    for (const words of list.without_images) all.append(Object.assign(document.createElement("li"), { textContent: words }));
  }

  /**
   * @param {string} id
   * @param {boolean} isShown
   */
  toggle(id, isShown) {
    const element = document.getElementById(id);
    if (element) element.hidden = !isShown;
  }

  /** Once a second: the times that pass. */
  tick() {
    for (const row of this.list.children) {
      const study = this.studies.get(row.getAttribute("data-study-instance-uid") || "");
      if (study) tickRow(row, study, this.clock, this.seen);
    }
    const live = document.querySelector('[data-field="live"]');
    if (this.changes.lostAt === null) setChip(live, "live", "Live");
    else setChip(live, "lost", "Not updating");
  }
}

/**
 * @param {Element | null} link
 * @param {{state: string, words: string}} place
 */
function setChipOf(link, place) {
  const chip = link?.querySelector(".chip");
  if (chip instanceof HTMLElement) chip.dataset.state = place.state;
  write(link?.querySelector("[data-words]") || null, place.words);
}

new Board().start();
