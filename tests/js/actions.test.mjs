// Keys: each has one work only, those with one meaning stand together, none is hidden by another.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Actions } from "../../web/static/js/actions.js";

const folder = new URL("../../web/static/js/", import.meta.url);

test("no two modules give the same key another work", () => {
  const givers = new Map();
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".js"))) {
    for (const [, key] of readFileSync(new URL(name, folder), "utf8").matchAll(/registerKey\("([^"]+)"/g)) {
      const known = givers.get(key.toLowerCase()) || new Set();
      givers.set(key.toLowerCase(), known.add(name));
    }
  }
  givers.delete("escape"); // marks say more of it, and do all that it did
  const shared = [...givers].filter(([, names]) => names.size > 1).map(([key, names]) => `${key}: ${[...names].join()}`);
  assert.deepEqual(shared, []);
  assert.ok(givers.size > 20);
});

test("keys of one meaning stand together on the map, silent ones do not", () => {
  const actions = new Actions();
  actions.registerKey("ArrowUp", "Previous image", () => {});
  actions.registerKey("ArrowLeft", "Previous image", () => {});
  actions.registerKey("=", "", () => {});
  actions.registerKey("n", "Invert", () => {});
  assert.deepEqual(actions.map(), [
    { keys: ["↑", "←"], words: "Previous image" },
    { keys: ["N"], words: "Invert" },
  ]);
});

test("a key works in either case, and not while something is typed", () => {
  const actions = new Actions();
  const done = [];
  actions.registerKey("N", "Invert", () => done.push("n"));
  let listen;
  actions.bindKeys({ addEventListener: (_, act) => (listen = act), querySelector: () => null });
  const press = (key, matching = "", more = {}) => listen({ key, preventDefault() {}, target: { matches: (selector) => matching !== "" && selector.startsWith(matching) }, ...more });
  press("n");
  press("N");
  press("n", "input");
  press("n", "", { ctrlKey: true });
  press("q");
  assert.deepEqual(done, ["n", "n"]);
  actions.registerKey("Shift+N", "Note", () => done.push("note"));
  actions.registerKey("Ctrl+ArrowUp", "Move", () => done.push("move"));
  press("N", "", { shiftKey: true });
  press("N"); // capitals are locked
  press("ArrowUp", "", { ctrlKey: true });
  press("ArrowUp");
  assert.deepEqual(done.slice(2), ["note", "n", "move"]);
  assert.deepEqual(actions.map().map(({ keys }) => keys.join()), ["N", "Shift+N", "Ctrl+↑"]);
});
