/** What every page shares: asking the node, filling fields as text, noticing changes. */

import { elapsed, received } from "./text.js";

/** The version of the program this page came from: it stands in the address of every script. */
const PROGRAM = (/\/static\/v-([0-9a-f]+)\//.exec(import.meta.url) || ["", ""])[1];

/** An answer of the node that says no, in words made for people. */
export class Refused extends Error {
  /**
   * @param {number} status HTTP status
   * @param {{code?: string, message?: string}} error
   */
  constructor(status, error) {
    super(error.message || "The node gave an answer that cannot be read.");
    this.status = status;
    this.code = error.code || "unreadable-answer";
  }
}

/**
 * Name in an address of bytes the program that draws them, too: what a browser keeps of an older
 * program is never shown again.
 * @param {string} url
 * @returns {string}
 */
export function drawn(url) {
  return PROGRAM ? url.replace(/([?&]v=[0-9a-f]{16})(?=&|$)/, `$1-${PROGRAM}`) : url;
}

/**
 * Ask the node and return its answer.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 * @throws {Refused} when the node answers with an error; a TypeError when it does not answer
 */
export async function ask(url, options) {
  const answer = await fetch(drawn(url), options);
  if (answer.ok || answer.status === 304) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, body.error || {});
}

/**
 * Write text into a field. Text of patients enters the page here and only as text.
 * @param {Element | null} element
 * @param {string} text
 */
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/**
 * Set a chip: its icon, its colour and its words say the same.
 * @param {Element | null} chip
 * @param {string} state
 * @param {string} words
 */
export function setChip(chip, state, words) {
  if (!(chip instanceof HTMLElement)) return;
  if (chip.dataset.state !== state) {
    chip.dataset.state = state;
    const use = chip.querySelector("use");
    if (use) use.setAttribute("href", iconUrl(state));
  }
  write(chip.querySelector("[data-words]"), words);
}

/**
 * @param {string} name
 * @returns {string} address of an icon, of the same version as this script
 */
export function iconUrl(name) {
  return `${new URL("../icons.svg", import.meta.url).pathname}#${name}`;
}

/**
 * The node's clock, so that "last 4 s ago" is right on a machine whose clock is not.
 */
export class NodeClock {
  /** @param {string} now the node's time, ISO 8601 */
  constructor(now) {
    /** Milliseconds this machine's clock is behind. */
    this.offset = 0;
    this.set(now);
  }

  /** @param {string} now the node's time, ISO 8601 */
  set(now) {
    const offset = Date.parse(now) - Date.now();
    this.offset = Number.isFinite(offset) ? offset : 0;
  }

  /** @returns {string} the node's time, ISO 8601 in UTC */
  now() {
    return new Date(Date.now() + this.offset).toISOString();
  }

  /**
   * @param {string} moment ISO 8601
   * @returns {number} seconds since then
   */
  since(moment) {
    return (Date.now() + this.offset - Date.parse(moment)) / 1000;
  }
}

/**
 * Bring a "received" chip up to date.
 * @param {Element | null} chip
 * @param {string} lastReceivedAt ISO 8601
 * @param {NodeClock} clock
 * @returns {string} `receiving` or `quiet`
 */
export function setReceived(chip, lastReceivedAt, clock) {
  const quietAfter = Number(document.body.dataset.quietAfterS) || 60;
  const { state, words } = received(clock.since(lastReceivedAt), quietAfter);
  setChip(chip, state, words);
  return state;
}

/**
 * Say on top of the page how the node stands to the PACS; nothing while all is normal.
 * @param {{mode: string, words: string}} mode
 */
export function showMode(mode) {
  const ribbon = document.getElementById("mode");
  if (!ribbon) return;
  setChip(ribbon, mode.mode, mode.words);
  ribbon.hidden = !mode.words;
}

/** Asks every second and a half whether anything changed, and says so when the node is silent. */
export class Changes {
  /**
   * @param {{every?: number, onChange: () => Promise<void>, onBack?: () => void, revision?: string}} options
   *   `revision`: what the page itself was made of; only what comes after it is a change
   */
  constructor({ every = 1500, onChange, onBack = () => {}, revision = "" }) {
    this.every = every;
    this.onChange = onChange;
    this.onBack = onBack;
    this.tag = revision && `"${revision}"`;
    /** @type {number | null} */
    this.lostAt = null;
  }

  /** Begin; never ends while the page is open. */
  start() {
    const next = async () => {
      await this.look();
      setTimeout(next, document.hidden ? this.every * 4 : this.every);
    };
    setTimeout(next, this.every);
  }

  /** Look once. */
  async look() {
    try {
      const answer = await ask("/api/v1/changes", {
        headers: this.tag ? { "If-None-Match": this.tag } : {},
        signal: timeout(8000),
      });
      if (answer.status !== 304) {
        showMode((await answer.json()).mode);
        await this.onChange();
        this.tag = answer.headers.get("ETag") || "";
      }
      this.found();
    } catch (error) {
      if (error instanceof Refused) this.found();
      else this.lost();
    }
  }

  found() {
    if (this.lostAt === null) return;
    this.lostAt = null;
    const ribbon = document.getElementById("link-lost");
    if (ribbon) ribbon.hidden = true;
    this.onBack();
  }

  lost() {
    if (this.lostAt === null) this.lostAt = Date.now();
    const ribbon = document.getElementById("link-lost");
    if (!ribbon) return;
    const at = new Date(this.lostAt).toLocaleTimeString([], { hour12: false });
    const ago = elapsed((Date.now() - this.lostAt) / 1000);
    write(
      ribbon.querySelector("[data-words]"),
      `Connection to the node lost at ${at}, ${ago} ago. What is loaded stays usable; nothing new is shown.`,
    );
    ribbon.hidden = false;
  }
}

/**
 * @param {number} ms
 * @returns {AbortSignal} fires after that time
 */
export function timeout(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}
