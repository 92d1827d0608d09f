/** The return to the PACS: one answer of the node fills the whole page, again and again. */

import { ask, Changes, setChip, timeout, write } from "./page.js";

const DOOR_EVERY_MS = 10_000;
const STATES = ["queued", "sending", "stored", "proven", "held", "attention"];

/**
 * Bring rows in line with what the node says, reusing those that are there.
 * @param {string} listId
 * @param {string} templateId
 * @param {any[]} items each with a `key`
 * @param {(row: Element, item: any) => void} fill
 */
function fillRows(listId, templateId, items, fill) {
  const list = /** @type {HTMLElement} */ (document.getElementById(listId));
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(templateId));
  const rows = new Map([...list.children].map((row) => [row.getAttribute("data-key"), row]));
  const wanted = items.map((item) => {
    const row = rows.get(item.key) || /** @type {Element} */ (template.content.firstElementChild?.cloneNode(true));
    row.setAttribute("data-key", item.key);
    fill(row, item);
    return row;
  });
  const keep = new Set(wanted);
  for (const row of [...list.children]) if (!keep.has(row)) row.remove();
  wanted.forEach((row, at) => {
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null);
  });
  const none = document.querySelector(`[data-empty="${listId}"]`);
  if (none instanceof HTMLElement) none.hidden = items.length > 0;
}

/**
 * @param {Element} row
 * @param {Record<string, string>} texts field to text
 */
function writeFields(row, texts) {
  for (const [name, text] of Object.entries(texts)) write(row.querySelector(`[data-field="${name}"]`), text);
}

/**
 * @param {Element} row
 * @param {any} place
 */
function fillDestination(row, place) {
  writeFields(row, { name: place.name, address: place.address, since: place.since, pause: place.pause, pace: place.pace, picture_from: place.picture_from, picture_to: place.picture_to });
  writeHidden(row, { destination: place.name });
  show(row, "pause", place.is_paused);
  show(row, "can-pause", !place.is_paused);
  show(row, "can-start", place.is_paused);
  draw(row.querySelector('[data-field="picture"]'), place.picture);
  setChip(row.querySelector('[data-field="reach"]'), place.state, place.words);
  for (const state of STATES) {
    const count = place.counts[state] || 0;
    writeFields(row, { [`count-${state}`]: String(count) });
  }
}

/**
 * Show the picture the node drew; what somebody is reading it with stays where it is.
 * @param {Element | null} place
 * @param {string} svg
 */
function draw(place, svg) {
  if (!place || place.getAttribute("data-drawn") === svg) return;
  const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  if (parsed.nodeName !== "svg") return;
  place.textContent = "";
  place.appendChild(document.importNode(parsed, true));
  place.setAttribute("data-drawn", svg);
}

/**
 * @param {Element} row
 * @param {string} name
 * @param {boolean} isShown
 */
function show(row, name, isShown) {
  const part = row.querySelector(`[data-field="${name}"]`);
  if (part instanceof HTMLElement) part.hidden = !isShown;
}

/**
 * @param {Element} row
 * @param {Record<string, string>} values name of a hidden field to its value
 */
function writeHidden(row, values) {
  for (const [name, value] of Object.entries(values))
    for (const field of row.querySelectorAll(`input[type="hidden"][name="${name}"]`)) field.setAttribute("value", value);
}

/**
 * @param {Element} row
 * @param {any} refused
 */
function fillRefused(row, refused) {
  const { study_instance_uid, destination, name, images, reason, to_do } = refused;
  row.querySelector("a")?.setAttribute("href", `/studies/${study_instance_uid}`);
  writeFields(row, { destination, name, images, reason, to_do });
  writeHidden(row, { study_instance_uid, destination });
  show(row, "can-retry", refused.can_retry);
}

/**
 * @param {Element} row
 * @param {any} outage
 */
function fillOutage(row, outage) {
  const { kind, began, ended, signed } = outage;
  const number = String(outage.number);
  writeFields(row, { kind, number, began, ended, signed });
  writeHidden(row, { outage: number });
  show(row, "can-sign", outage.can_sign);
  for (const link of row.querySelectorAll("a[data-form]"))
    link.setAttribute("href", `/sync/report?outage=${number}&format=${link.getAttribute("data-form")}`);
}

/**
 * @param {Element} row
 * @param {any} study
 */
function fillStudy(row, study) {
  row.querySelector("a")?.setAttribute("href", `/studies/${study.study_instance_uid}`);
  setChip(row.querySelector('[data-field="state"]'), study.state, study.words);
  const { name, what, destination, queued, stored, proven, proof, last_error } = study;
  writeFields(row, { name, what, destination, queued_at: queued, stored_at: stored, proven_at: proven, proof, last_error });
}

async function refresh() {
  const sync = await (await ask("/api/v1/sync", { signal: timeout(8000) })).json();
  fillRows("destinations", "destination-row", sync.destinations, fillDestination);
  fillRows("refused", "refused-row", sync.refused, fillRefused);
  const section = document.getElementById("refused-section");
  if (section) section.hidden = sync.refused.length === 0;
  fillRows("outages", "outages-row", sync.outages, fillOutage);
  fillRows("studies", "studies-row", sync.studies, fillStudy);
  fillRows("events", "events-row", sync.events, (row, event) =>
    writeFields(row, { at: event.when, kind: event.kind_words, destination: event.destination, detail: event.detail }),
  );
  fillRows("mode_changes", "mode_changes-row", sync.mode_changes, (row, change) => {
    setChip(row.querySelector('[data-field="mode"]'), change.mode, change.words);
    writeFields(row, { at: change.when, by: change.who, reason: change.reason });
  });
  fillRows("quarantine", "quarantine-row", sync.quarantine, (row, entry) =>
    writeFields(row, { received_at: entry.when, reason: entry.reason, code: entry.code, source: entry.source, size: entry.size, file: entry.name }),
  );
  fillRows("door", "door-row", sync.door, (row, entry) => {
    writeFields(row, { title: entry.title });
    setChip(row.querySelector('[data-field="state"]'), entry.state, entry.words);
  });
  fillRows("refusals", "refusals-row", sync.refusals, (row, entry) =>
    writeFields(row, { caller: entry.caller, address: entry.address, why: entry.why, count: String(entry.count), first_at: entry.first, last_at: entry.last }),
  );
  write(document.getElementById("summary"), sync.summary);
  const none = document.getElementById("no-destinations");
  if (none) none.hidden = sync.destinations.length > 0;
}

const changes = new Changes({ onChange: refresh });
changes.start();
setInterval(() => {
  const chip = document.querySelector('[data-field="live"]');
  if (changes.lostAt === null) setChip(chip, "live", "Live");
  else setChip(chip, "lost", "Not updating");
}, 1000);
// who was turned away is in neither index nor ledger, so no change is announced
setInterval(() => changes.lostAt === null && refresh().catch(() => changes.lost()), DOOR_EVERY_MS);
refresh().catch(() => changes.lost());
