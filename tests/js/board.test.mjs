import assert from "node:assert/strict";
import { test } from "node:test";

import { rowAfter } from "../../web/static/js/row_keys.js";
import { isNew, withOpened } from "../../web/static/js/seen.js";

test("arrow keys go through the rows and back to the search", () => {
  assert.deepEqual(["ArrowDown", "ArrowUp", "Home", "x"].map((key) => rowAfter(key, -1, 3)), [0, null, null, null]);
  assert.deepEqual(["ArrowDown", "ArrowUp", "Home", "End"].map((key) => rowAfter(key, 2, 3)), [2, 1, 0, 2]);
  assert.equal(rowAfter("ArrowUp", 0, 3), -1);
  assert.equal(rowAfter("ArrowDown", -1, 0), null);
});

test("what arrived since a study was last open is new, and nothing from before the first visit", () => {
  const seen = { since: "2026-01-02T12:00:00Z", opened: { "1.2": "2026-01-02T13:00:00Z" } };
  assert.equal(isNew(seen, "1.1", "2026-01-02T11:59:59Z"), false);
  assert.equal(isNew(seen, "1.1", "2026-01-02T12:00:01Z"), true);
  assert.equal(isNew(seen, "1.2", "2026-01-02T12:30:00Z"), false);
  assert.equal(isNew(seen, "1.2", "2026-01-02T13:00:01+00:00"), true);
});

test("only so many studies are remembered, the last opened ones", () => {
  let seen = { since: "2026-01-01T00:00:00Z", opened: {} };
  for (let n = 0; n < 510; n += 1) seen = withOpened(seen, `1.${n}`, new Date(Date.UTC(2026, 0, 2) + n).toISOString());
  assert.equal(Object.keys(seen.opened).length, 500);
  assert.ok("1.509" in seen.opened && !("1.9" in seen.opened));
});
