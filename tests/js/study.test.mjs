// A study in a page asks only for what has changed.
import assert from "node:assert/strict";
import { afterEach, test, mock } from "node:test";

import { Changes } from "../../web/static/js/page.js";
import { Study } from "../../web/static/js/study.js";

mock.timers.enable({ apis: ["setTimeout"] }); // no limit of time is waited for
const real = { fetch: globalThis.fetch, document: globalThis.document };
afterEach(() => Object.assign(globalThis, real));

/** A node whose study has that tag. */
function node(tag) {
  const state = { tag, asked: [] };
  globalThis.fetch = async (url, { headers }) => {
    state.asked.push(url);
    if (headers["If-None-Match"] === `"${state.tag}"`) return { ok: false, status: 304, headers: { get: () => `"${state.tag}"` } };
    const body = { study: { series: [], tag: state.tag }, tag: state.tag, now: "2026-11-22T12:00:00Z", mode: {} };
    return { ok: true, status: 200, headers: { get: () => `"${state.tag}"` }, json: async () => body };
  };
  return state;
}

test("a study that came in the page is not asked for again until it changes", async () => {
  const state = node("1");
  const study = new Study("1.2", { study: { series: [] }, tag: "1", now: "then" });
  assert.equal(await study.refresh(), "then");
  const { facts } = study;
  assert.equal(await study.refresh(), "");
  assert.equal(study.facts, facts);
  state.tag = "2";
  assert.equal(await study.refresh(), "2026-11-22T12:00:00Z");
  assert.equal(study.facts.tag, "2");
});

test("what the page was made of is no change", async () => {
  globalThis.document = /** @type {any} */ ({ getElementById: () => null, querySelector: () => null, querySelectorAll: () => [], body: { dataset: {} }, documentElement: { dataset: {} } });
  const state = node("r1");
  let changed = 0;
  const changes = new Changes({ onChange: async () => void (changed += 1), revision: "r1" });
  await changes.look();
  assert.equal(changed, 0);
  state.tag = "r2";
  await changes.look();
  await changes.look();
  assert.equal(changed, 1);
});
