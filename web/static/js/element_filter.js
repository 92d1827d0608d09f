/** Filter a list of elements while somebody types: rows that do not match are hidden. */

/**
 * @param {HTMLElement} root holds `.element-rows` and `.filter-line`
 */
export function bindFilter(root) {
  const line = /** @type {HTMLElement} */ (root.querySelector(".filter-line"));
  const field = /** @type {HTMLInputElement} */ (line.querySelector("input"));
  const rows = /** @type {HTMLElement} */ (root.querySelector(".element-rows"));
  const found = /** @type {HTMLElement} */ (line.querySelector('[data-field="found"]'));
  line.hidden = false;
  const run = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const count = filterLevel(rows, words);
    found.textContent = words.length ? `${count} found` : "";
  };
  field.addEventListener("input", run);
  return field;
}

/**
 * @param {Element} level the elements of one data set
 * @param {string[]} words all of which must be in a row; none shows every row
 * @returns {number} rows that match on this level and below
 */
function filterLevel(level, words) {
  let count = 0;
  for (const row of Array.from(level.children)) {
    if (row instanceof HTMLDetailsElement) count += filterSequence(row, words);
    else if (row.classList.contains("element")) count += show(row, matches(row, words));
  }
  return count;
}

/**
 * @param {HTMLDetailsElement} sequence
 * @param {string[]} words
 * @returns {number}
 */
function filterSequence(sequence, words) {
  const [summary, inside] = Array.from(sequence.children);
  const isNamed = matches(summary, words);
  const below = filterLevel(inside, isNamed ? [] : words);
  sequence.open = words.length > 0 && below > 0 && !isNamed;
  return show(sequence, isNamed || below > 0) && (isNamed ? 1 : below);
}

/**
 * @param {Element} row
 * @param {boolean} isShown
 * @returns {number}
 */
function show(row, isShown) {
  /** @type {HTMLElement} */ (row).hidden = !isShown;
  return isShown ? 1 : 0;
}

/**
 * @param {Element} row
 * @param {string[]} words
 * @returns {boolean}
 */
function matches(row, words) {
  const text = (row.textContent || "").toLowerCase();
  return words.every((word) => text.includes(word));
}
