/** Arrow keys go through the rows of the board; Enter opens the one that has the focus. */

/**
 * Return the row a key leads to.
 * @param {string} key
 * @param {number} from the row that has the focus, -1 for the search field
 * @param {number} count how many rows there are
 * @returns {number | null} -1 for the search field; null when the key means nothing here
 */
export function rowAfter(key, from, count) {
  if (count === 0) return null;
  if (key === "ArrowDown") return Math.min(from + 1, count - 1);
  if (key === "ArrowUp") return from < 0 ? null : from - 1;
  if (from < 0) return null; // Home and End belong to the text that is typed
  if (key === "Home") return 0;
  return key === "End" ? count - 1 : null;
}

/**
 * @param {Document} page
 * @param {HTMLElement} list
 * @param {HTMLInputElement | null} field where a search is typed; `/` leads to it
 */
export function bindRowKeys(page, list, field) {
  page.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.altKey || event.metaKey || target.closest("dialog")) return;
    const isTyping = target.matches("input, select, textarea");
    if (event.key === "/" && !isTyping) return reach(event, field);
    if (isTyping && target !== field) return;
    const links = [...list.querySelectorAll("a.name")];
    const at = rowAfter(event.key, links.indexOf(/** @type {Element} */ (target.closest(".study")?.querySelector("a.name"))), links.length);
    if (at !== null) reach(event, at < 0 ? field : links[at]);
  });
}

/**
 * @param {Event} event
 * @param {Element | null} element
 */
function reach(event, element) {
  if (!(element instanceof HTMLElement)) return;
  event.preventDefault();
  element.focus();
  element.scrollIntoView({ block: "nearest" });
}
