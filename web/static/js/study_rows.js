/** Rows of the board: one study each, filled as text from one object of the node's answer. */

import { setChip, setReceived, write } from "./page.js";
import { isNew } from "./seen.js";

/** @typedef {import("./page.js").NodeClock} NodeClock */

/**
 * @typedef {object} Study
 * @property {string} study_instance_uid
 * @property {string} last_received_at
 * @property {number} number_of_study_related_instances
 * @property {number} number_of_study_related_series
 * @property {Record<string, string>} display
 * @property {{state: string, words: string, basis: string, confirmed_at: string}} completeness
 * @property {{state: string, words: string}} delivery
 */

const MARKS = ["conflict", "similar", "side_conflict"];

/**
 * @param {HTMLTemplateElement} template
 * @param {Study} study
 * @param {boolean} isArrival
 * @returns {Element}
 */
export function newRow(template, study, isArrival) {
  const row = /** @type {Element} */ (template.content.firstElementChild?.cloneNode(true));
  row.setAttribute("data-study-instance-uid", study.study_instance_uid);
  row.querySelector("a")?.setAttribute("href", `/studies/${study.study_instance_uid}`);
  if (isArrival) row.classList.add("fresh");
  return row;
}

/**
 * Fill a row; it says at once when the number of images has changed.
 * @param {Element} row
 * @param {Study} study
 * @param {Study} [before]
 */
export function fillRow(row, study, before) {
  for (const [name, text] of Object.entries(study.display)) {
    if (MARKS.includes(name)) setMark(row, name, text);
    else write(row.querySelector(`[data-field="${name}"]`), text);
  }
  show(row.querySelector("[data-from]"), Boolean(study.display.source));
  show(row.querySelector("[data-operation]"), Boolean(study.display.operation));
  setChip(row.querySelector('[data-field="delivery"]'), study.delivery.state, study.delivery.words);
  setChip(row.querySelector('[data-field="completeness"]'), study.completeness.state, study.completeness.words);
  write(row.querySelector('[data-field="basis"]'), study.completeness.basis);
  fillConfirm(row.querySelector("[data-confirm]"), study);
  const isMore = before && before.number_of_study_related_instances !== study.number_of_study_related_instances;
  row.classList.remove("changed");
  if (isMore) requestAnimationFrame(() => row.classList.add("changed"));
}

/**
 * @param {Element | null} button
 * @param {Study} study
 */
function fillConfirm(button, study) {
  if (!(button instanceof HTMLElement)) return;
  const isConfirmed = study.completeness.state === "complete";
  button.hidden = false;
  write(button, isConfirmed ? "Confirmed" : "All here?");
  button.setAttribute("aria-label", `${isConfirmed ? "Confirmed" : "All here?"} Images of ${study.display.name}`);
}

/**
 * @param {Element} row
 * @param {string} name
 * @param {string} words
 */
function setMark(row, name, words) {
  const mark = row.querySelector(`[data-mark="${name}"]`);
  show(mark, Boolean(words));
  write(mark?.querySelector("[data-words]") || null, words);
}

/**
 * @param {Element | null} element
 * @param {boolean} isShown
 */
function show(element, isShown) {
  if (element instanceof HTMLElement) element.hidden = !isShown;
}

/**
 * What passes with time: how long ago the last image came, and what is said once none come any more.
 * @param {Element} row
 * @param {Study} study
 * @param {NodeClock} clock
 * @param {import("./seen.js").Seen} seen
 */
export function tickRow(row, study, clock, seen) {
  const isQuiet = setReceived(row.querySelector('[data-field="received"]'), study.last_received_at, clock) === "quiet";
  show(row.querySelector("[data-quiet]"), isQuiet);
  show(row.querySelector('[data-field="basis"]'), isQuiet);
  setMark(row, "new", isNew(seen, study.study_instance_uid, study.last_received_at) ? "New here" : "");
}

/**
 * Put rows in order, moving as little as possible, so that focus and scroll stay.
 * @param {HTMLElement} list
 * @param {Element[]} wanted
 */
export function arrange(list, wanted) {
  const keep = new Set(wanted);
  for (const row of [...list.children]) if (!keep.has(row)) row.remove();
  const top = list.getBoundingClientRect().top;
  const anchor = top < 0 ? [...list.children].find((row) => row.getBoundingClientRect().bottom > 0) : null;
  const before = anchor ? anchor.getBoundingClientRect().top : 0;
  wanted.forEach((row, position) => {
    if (list.children[position] !== row) list.insertBefore(row, list.children[position] || null);
  });
  if (anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
}
