/** What people can do: actions by name for buttons, keys with their words. */

/** @typedef {(data: DOMStringMap) => void} Action gets the button's own data-... values */
/** @typedef {{key: string, words: string, act: () => void}} Key */

/** Keys with names of their own, as people read them. */
const NAMES = /** @type {Record<string, string>} */ ({
  arrowup: "↑",
  arrowdown: "↓",
  arrowleft: "←",
  arrowright: "→",
  pageup: "PgUp",
  pagedown: "PgDn",
  escape: "Esc",
  home: "Home",
  end: "End",
  delete: "Del",
  backspace: "⌫",
  " ": "Space",
});

export class Actions {
  constructor() {
    /** @type {Map<string, Action>} */
    this.actions = new Map();
    /** @type {Map<string, Key>} */
    this.keys = new Map();
  }

  /**
   * @param {string} name as in `data-action`
   * @param {Action} act
   */
  register(name, act) {
    this.actions.set(name, act);
  }

  /**
   * Give a key its work. Keys that share their words stand together in the map.
   * @param {string} key as `KeyboardEvent.key` names it, letters in either case; `Shift+` or `Ctrl+`
   *   before it where it means something else with that
   * @param {string} words what it does; "" keeps it off the map
   * @param {() => void} act
   */
  registerKey(key, words, act) {
    this.keys.set(key.toLowerCase(), { key, words, act });
  }

  /**
   * Listen to buttons that name an action, those added later too.
   * @param {Document} page
   */
  bindButtons(page) {
    page.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button[data-action]");
      if (!(button instanceof HTMLElement)) return;
      const act = this.actions.get(button.dataset.action || "");
      if (act) act(button.dataset);
    });
  }

  /**
   * Listen to keys, except while something is typed or a dialogue is open.
   * @param {Document} page
   */
  bindKeys(page) {
    page.addEventListener("keydown", (event) => {
      if (event.altKey || event.metaKey || page.querySelector("dialog[open]")) return;
      const target = /** @type {HTMLElement} */ (event.target);
      if (target.matches("input:not([type=range]), textarea, [contenteditable]")) return;
      if (target.matches("select") && event.key.length > 1) return;
      if (target.matches("button, a") && [" ", "Enter"].includes(event.key)) return;
      const known = this.keyOf(event);
      if (!known) return;
      event.preventDefault();
      known.act();
    });
  }

  /**
   * @param {{key: string, shiftKey?: boolean, ctrlKey?: boolean}} event
   * @returns {Key | undefined} that with Shift, if there is one; else a capital is its letter
   */
  keyOf({ key, shiftKey, ctrlKey }) {
    const name = key.toLowerCase();
    if (ctrlKey) return this.keys.get(`ctrl+${name}`);
    return (shiftKey && this.keys.get(`shift+${name}`)) || this.keys.get(name);
  }

  /** @returns {{keys: string[], words: string}[]} keys with the same words together, in the order they came */
  map() {
    /** @type {Map<string, string[]>} */
    const found = new Map();
    for (const { key, words } of this.keys.values()) {
      if (!words) continue;
      found.set(words, [...(found.get(words) || []), shownKey(key)]);
    }
    return [...found].map(([words, keys]) => ({ keys, words }));
  }
}

/**
 * @param {string} key as it was registered
 * @returns {string} as people read it
 */
function shownKey(key) {
  const [, held = "", own = key] = /^((?:Shift|Ctrl)\+)?(.+)$/.exec(key) || [];
  return held + (NAMES[own.toLowerCase()] || (own.length === 1 ? own.toUpperCase() : own));
}
