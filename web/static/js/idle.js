/**
 * Nobody looks any more: after a time without a touch the page warns, then goes back to the board.
 *
 * While the node does not answer, going away would lose the images that are loaded, and there would
 * be no board to go to. Then the page is covered instead, and a touch uncovers it.
 */

import { timeout, write } from "./page.js";

const WARNING_S = 20;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

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
  /** @param {{limit: number, leave: () => void}} options seconds, and how to leave */
  constructor({ limit, leave }) {
    this.limit = limit;
    this.leave = leave;
    this.touched = performance.now();
    this.isLeaving = false;
    this.cover = /** @type {HTMLElement} */ (document.getElementById("idle"));
    this.words = document.getElementById("idle-words");
    this.stay = /** @type {HTMLElement} */ (document.getElementById("stay"));
    /** @type {Element | null} what had the focus before the page was covered */
    this.focused = null;
  }

  start() {
    for (const sign of SIGNS) document.addEventListener(sign, () => this.touch(sign), { capture: true, passive: true });
    this.stay.addEventListener("click", () => this.uncover());
    setInterval(() => this.tick(), 500);
  }

  /** A pointer that only moves does not uncover: the cover wants a tap. @param {string} sign */
  touch(sign) {
    if (this.cover.hidden) this.touched = performance.now();
    else if (sign === "keydown" || sign === "pointerdown" || sign === "touchstart") setTimeout(() => this.uncover(), 0);
  }

  uncover() {
    this.touched = performance.now();
    if (this.cover.hidden) return;
    this.cover.hidden = true;
    if (this.focused instanceof HTMLElement) this.focused.focus();
  }

  tick() {
    const { action, left } = idleStep((performance.now() - this.touched) / 1000, this.limit);
    if (action === "warn") this.show(`Nobody has touched this screen. In ${left} s it goes back to the board. One tap to stay.`);
    else if (action === "leave") this.go();
  }

  /** @param {string} words */
  show(words) {
    write(this.words, words);
    if (!this.cover.hidden) return;
    this.focused = document.activeElement;
    this.cover.hidden = false;
    this.stay.focus();
  }

  async go() {
    if (this.isLeaving) return;
    this.isLeaving = true;
    try {
      await fetch("/healthz", { signal: timeout(4000) });
      if (idleStep((performance.now() - this.touched) / 1000, this.limit).action === "leave") this.leave();
    } catch (error) {
      this.cover.dataset.state = "closed";
      this.show("Covered, because nobody has touched this screen. The node does not answer, so what is loaded is kept. One tap to go on.");
    }
    this.isLeaving = false;
  }
}

/** The board stays where it is: it is cleared by loading it anew. */
function leave() {
  document.body.hidden = true; // at once: the next page may take a moment
  window.location.replace("/");
}

if (document.getElementById("idle")) new Idle({ limit: Number(document.body.dataset.idleS), leave }).start();
