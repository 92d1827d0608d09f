/** The field a note is typed into, beside its arrow. */

import { LONGEST_TEXT } from "./mark_kinds.js";

/**
 * Ask for the text of a note.
 * @param {import("./tile.js").Tile} tile
 * @param {{x: number, y: number}} at CSS pixels from the canvas' upper left
 * @param {string} text as it is
 * @param {(text: string) => void} done
 */
export function askNote(tile, at, text, done) {
  const field = document.createElement("input");
  field.type = "text";
  field.className = "field note-field";
  field.maxLength = LONGEST_TEXT;
  field.value = text;
  field.setAttribute("aria-label", "Text of the note; no names or numbers of patients");
  field.placeholder = "Text of the note";
  field.style.left = `${Math.max(0, Math.min(at.x, tile.canvas.clientWidth - 260))}px`;
  field.style.top = `${Math.max(0, Math.min(at.y, tile.canvas.clientHeight - 52))}px`;
  let isOpen = true;
  const close = (/** @type {boolean} */ isKept) => {
    if (!isOpen) return;
    isOpen = false;
    field.remove();
    tile.canvas.focus({ preventScroll: true });
    if (isKept) done(plain(field.value));
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" || event.key === "Escape") close(event.key === "Enter");
  });
  field.addEventListener("blur", () => close(true));
  tile.root.append(field);
  field.focus();
}

/**
 * @param {string} text
 * @returns {string} on one line, as the node takes it
 */
export function plain(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u00a0\u2028\u2029\s]+/g, " ").trim().slice(0, LONGEST_TEXT);
}
