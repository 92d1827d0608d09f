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

/** @param {Element} row @param {Record<string, string>} texts field to text */
function writeFields(row, texts) {
  for (const [name, text] of Object.entries(texts)) write(row.querySelector(`[data-field="${name}"]`), text);
}

/** @param {Element} row @param {any} place */
function fillDestination(row, place) {
  writeFields(row, { name: place.name, address: place.address, since: place.since });
  setChip(row.querySelector('[data-field="reach"]'), place.state, place.words);
  for (const state of STATES) {
    const count = place.counts[state] || 0;
    writeFields(row, { [`count-${state}`]: String(count) });
    const bar = /** @type {HTMLElement} */ (row.querySelector(`.gauge [data-state="${state}"]`));
    bar.style.flexGrow = String(count);
    bar.hidden = count === 0;
  }
}

/** @param {Element} row @param {any} study */
function fillStudy(row, study) {
  row.querySelector("a")?.setAttribute("href", `/studies/${study.study_instance_uid}`);
  setChip(row.querySelector('[data-field="state"]'), study.state, study.words);
  const { name, what, destination, queued, stored, proven, proof, last_error } = study;
  writeFields(row, { name, what, destination, queued_at: queued, stored_at: stored, proven_at: proven, proof, last_error });
}

async function refresh() {
  const sync = await (await ask("/api/v1/sync", { signal: timeout(8000) })).json();
  fillRows("destinations", "destination-row", sync.destinations, fillDestination);
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
