/** The studies board: search as you type, newest first, up to date by itself. */

import { ask, Changes, NodeClock, Refused, setChip, setReceived, timeout, write } from "./page.js";
import { counted, sinceDays } from "./text.js";

const TYPING_PAUSE_MS = 200;

/**
 * @typedef {object} Study
 * @property {string} study_instance_uid
 * @property {string} last_received_at
 * @property {number} number_of_study_related_instances
 * @property {Record<string, string>} display
 * @property {{state: string, words: string}} delivery
 */

class Board {
  constructor() {
    this.form = /** @type {HTMLFormElement} */ (document.getElementById("search"));
    this.list = /** @type {HTMLElement} */ (document.getElementById("studies"));
    this.template = /** @type {HTMLTemplateElement} */ (document.getElementById("study-row"));
    this.clock = new NodeClock(document.body.dataset.now || "");
    this.days = "";
    this.asked = 0;
    /** @type {Map<string, Study>} */
    this.studies = new Map();
    this.changes = new Changes({ onChange: () => this.refresh() });
  }

  start() {
    let pause = 0;
    this.form.addEventListener("input", () => {
      clearTimeout(pause);
      pause = window.setTimeout(() => this.search(), TYPING_PAUSE_MS);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.search();
    });
    for (const button of this.form.querySelectorAll("[data-days]")) {
      button.addEventListener("click", () => this.chooseDays(/** @type {HTMLElement} */ (button)));
    }
    this.field("study_date").addEventListener("input", () => this.chooseDays(null, false));
    document.getElementById("clear")?.addEventListener("click", () => this.clear());
    setInterval(() => this.tick(), 1000);
    this.changes.start();
    this.search();
  }

  /** @param {string} name @returns {HTMLInputElement} */
  field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** @param {HTMLElement | null} chosen @param {boolean} [search] */
  chooseDays(chosen, search = true) {
    this.days = chosen?.dataset.days || "";
    if (chosen) this.field("study_date").value = "";
    for (const button of this.form.querySelectorAll("[data-days]")) {
      const isOn = chosen ? button === chosen : !this.field("study_date").value && !button.getAttribute("data-days");
      button.setAttribute("aria-pressed", String(isOn));
    }
    if (search) this.search();
  }

  clear() {
    this.form.reset();
    this.chooseDays(/** @type {HTMLElement} */ (this.form.querySelector('[data-days=""]')));
    this.field("text").focus();
  }

  /** @returns {Record<string, string | number>} what the fields ask for */
  wanted() {
    const day = this.field("study_date").value.replaceAll("-", "");
    return {
      text: this.field("text").value.trim(),
      modality: this.field("modality").value,
      study_date: this.days ? sinceDays(Number(this.days), new Date()) : day,
      limit: 100,
    };
  }

  /** Search now; the words travel in the body, never in an address. */
  async search() {
    try {
      await this.refresh();
      this.changes.found();
    } catch (error) {
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
    this.clock.set(found.now);
    this.show(found, Boolean(wanted.text || wanted.modality || wanted.study_date));
  }

  /**
   * @param {{studies: Study[], counts: Record<string, number>, is_more: boolean, destinations: any[]}} found
   * @param {boolean} isFiltered
   */
  show(found, isFiltered) {
    const isFirst = this.studies.size === 0;
    const old = this.studies;
    this.studies = new Map(found.studies.map((study) => [study.study_instance_uid, study]));
    const rows = new Map([...this.list.children].map((row) => [row.getAttribute("data-study-instance-uid"), row]));
    const wanted = found.studies.map((study) => {
      const row = rows.get(study.study_instance_uid) || this.newRow(study, !isFirst && !isFiltered);
      this.fill(row, study, old.get(study.study_instance_uid));
      return row;
    });
    this.arrange(wanted);
    this.frame(found, isFiltered);
    this.tick();
  }

  /** @param {Study} study @param {boolean} isArrival @returns {Element} */
  newRow(study, isArrival) {
    const row = /** @type {Element} */ (this.template.content.firstElementChild?.cloneNode(true));
    row.setAttribute("data-study-instance-uid", study.study_instance_uid);
    row.querySelector("a")?.setAttribute("href", `/studies/${study.study_instance_uid}`);
    if (isArrival) row.classList.add("fresh");
    return row;
  }

  /** @param {Element} row @param {Study} study @param {Study} [before] */
  fill(row, study, before) {
    for (const [name, text] of Object.entries(study.display)) {
      if (name !== "conflict") write(row.querySelector(`[data-field="${name}"]`), text);
    }
    setChip(row.querySelector('[data-field="delivery"]'), study.delivery.state, study.delivery.words);
    const conflict = /** @type {HTMLElement} */ (row.querySelector('[data-field="conflict"]'));
    conflict.hidden = !study.display.conflict;
    write(conflict.querySelector("[data-words]"), study.display.conflict);
    const isMore = before && before.number_of_study_related_instances !== study.number_of_study_related_instances;
    row.classList.remove("changed");
    if (isMore) requestAnimationFrame(() => row.classList.add("changed"));
  }

  /**
   * Put the rows in order, moving as little as possible, so that focus and scroll stay.
   * @param {Element[]} wanted
   */
  arrange(wanted) {
    const keep = new Set(wanted);
    for (const row of [...this.list.children]) if (!keep.has(row)) row.remove();
    const top = this.list.getBoundingClientRect().top;
    const anchor = top < 0 ? [...this.list.children].find((row) => row.getBoundingClientRect().bottom > 0) : null;
    const before = anchor?.getBoundingClientRect().top ?? 0;
    wanted.forEach((row, position) => {
      if (this.list.children[position] !== row) this.list.insertBefore(row, this.list.children[position] || null);
    });
    if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  /**
   * Everything around the rows: how many, none found, none held, where they are returned to.
   * @param {{studies: Study[], counts: Record<string, number>, is_more: boolean, destinations: any[]}} found
   * @param {boolean} isFiltered
   */
  frame(found, isFiltered) {
    const held = `${counted(found.counts.studies, "study")}, ${counted(found.counts.instances, "image")}`;
    const some = found.studies.length;
    const newest = found.is_more ? `The newest ${some} are shown; search to find older ones. ` : "";
    const words = isFiltered ? `${some}${found.is_more ? " or more" : ""} found. This node holds ${held}.` : `${newest}This node holds ${held}.`;
    write(document.getElementById("tally"), words);
    write(document.querySelector("#nothing-found [data-words]"), held);
    this.toggle("nothing-found", some === 0 && found.counts.instances > 0);
    this.toggle("nothing-held", found.counts.instances === 0);
    this.toggle("tally", found.counts.instances > 0);
    const heads = document.querySelector(".heads");
    if (heads instanceof HTMLElement) heads.hidden = some === 0;
    for (const place of found.destinations) {
      const link = document.querySelector(`[data-destination="${CSS.escape(place.destination)}"]`);
      const chip = link?.querySelector(".chip");
      if (chip instanceof HTMLElement) chip.dataset.state = place.state;
      write(link?.querySelector("[data-words]") || null, place.words);
    }
  }

  /** @param {string} id @param {boolean} isShown */
  toggle(id, isShown) {
    const element = document.getElementById(id);
    if (element) element.hidden = !isShown;
  }

  /** Once a second: the times that pass. */
  tick() {
    for (const row of this.list.children) {
      const study = this.studies.get(row.getAttribute("data-study-instance-uid") || "");
      if (study) setReceived(row.querySelector('[data-field="received"]'), study.last_received_at, this.clock);
    }
    const live = document.querySelector('[data-field="live"]');
    if (this.changes.lostAt === null) setChip(live, "live", "Live");
    else setChip(live, "lost", "Not updating");
  }
}

new Board().start();
