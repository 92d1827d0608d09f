/**
 * Nobody looks any more: after a time without a touch the page warns, then goes back to the board.
 *
 * While the node does not answer, going away would lose the images that are loaded, and there would
 * be no board to go to. Then the page is covered instead, and a touch uncovers it.
 */

import { timeout, write } from "./page.js";

const WARNING_S = 20;
const SIGNS = ["pointerdown", "pointermove", "wheel", "touchstart"];

/**
 * What to do after a time without a touch.
 * @param {number} idle seconds since the last touch
 * @param {number} limit seconds after which the page is left; 0 is never
 * @returns {{action: "none" | "warn" | "leave", left: number}} and the seconds that are left
 */
export function idleStep(idle, limit) {
  const left = Math.max(0, Math.ceil(limit - idle));
  if (!limit) return { action: "none", left };
  if (left === 0) return { action: "leave", left };
  return { action: left <= Math.min(WARNING_S, limit / 2) ? "warn" : "none", left };
}

/** Counts the time without a touch and covers or leaves the page. */
export class Idle {
  /**
   * @param {{limit: number, leave: () => void, hasSomething?: () => boolean}} options seconds, how to
   *     leave, and whether there is anything to clear: where nothing is, nobody is asked
   */
  constructor({ limit, leave, hasSomething = () => true }) {
    this.limit = limit;
    this.leave = leave;
    this.hasSomething = hasSomething;
    this.touched = performance.now();
    this.isLeaving = false;
    this.cover = /** @type {HTMLElement} */ (document.getElementById("idle"));
    this.words = document.getElementById("idle-words");
    this.stay = /** @type {HTMLElement} */ (document.getElementById("stay"));
    /** @type {Element | null} what had the focus before the page was covered */
    this.focused = null;
    /** The key that uncovered the page is still down. */
    this.isHeld = false;
  }

  start() {
    for (const sign of SIGNS) document.addEventListener(sign, () => this.touch(sign), { capture: true, passive: true });
    // on the window: before every other listener of the page, whichever was there first
    window.addEventListener("keydown", (event) => this.pressed(event), { capture: true });
    this.stay.addEventListener("click", () => this.uncover());
    setInterval(() => this.tick(), 500);
  }

  /**
   * A pointer that only moves does not uncover: the cover wants a tap.
   * @param {string} sign
   */
  touch(sign) {
    if (this.cover.hidden) this.touched = performance.now();
    else if (sign === "pointerdown" || sign === "touchstart") setTimeout(() => this.uncover(), 0);
  }

  /**
   * A key that uncovers does nothing else, however long it is held down.
   * @param {KeyboardEvent} event
   */
  pressed(event) {
    this.touched = performance.now();
    this.isHeld = !this.cover.hidden || (event.repeat && this.isHeld);
    if (!this.isHeld) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.uncover();
  }

  uncover() {
    this.touched = performance.now();
    if (this.cover.hidden) return;
    this.cover.hidden = true;
    if (this.focused instanceof HTMLElement) this.focused.focus();
  }

  tick() {
    if (!this.hasSomething()) this.touched = performance.now();
    const { action, left } = idleStep((performance.now() - this.touched) / 1000, this.limit);
    if (action === "warn") this.show(`Nobody has touched this screen. In ${left} s it goes back to the board. One tap to stay.`);
    else if (action === "leave") this.go();
  }

  /** @param {string} words */
  show(words) {
    write(this.words, words);
    // a modal dialogue would lie over the cover, and keep its button from being pressed
    for (const dialog of document.querySelectorAll("dialog[open]")) /** @type {HTMLDialogElement} */ (dialog).close();
    if (!this.cover.hidden) return;
    document.dispatchEvent(new Event("covered"));
    this.focused = document.activeElement;
    this.cover.hidden = false;
    this.stay.focus();
  }

  async go() {
    if (this.isLeaving) return;
    this.isLeaving = true;
    try {
      await fetch("/healthz", { signal: timeout(4000) });
      // on leaving, the flag stays: asking for the board again would break off the first time
      if (idleStep((performance.now() - this.touched) / 1000, this.limit).action === "leave") return this.leave();
    } catch (error) {
      this.cover.dataset.state = "closed";
      this.show("Covered, because nobody has touched this screen. The node does not answer, so what is loaded is kept. One tap to go on.");
    }
    this.isLeaving = false;
  }
}

function leave() {
  document.body.hidden = true; // at once: the next page may take a moment
  window.location.replace("/");
}

/** @returns {() => boolean} whether somebody asked the board for something since it was opened */
function somethingAsked() {
  const form = document.getElementById("search");
  if (!(form instanceof HTMLFormElement)) return () => true;
  const said = () => JSON.stringify([...new FormData(form)]);
  const atFirst = said();
  return () => said() !== atFirst;
}

if (document.getElementById("idle")) {
  new Idle({ limit: Number(document.body.dataset.idleS), leave, hasSomething: somethingAsked() }).start();
}
