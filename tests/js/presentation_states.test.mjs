// What is said of presentation states: which is applied, which could be, and when nobody knows.
import assert from "node:assert/strict";
import { test } from "node:test";

import { stateWords, troubleWords } from "../../web/static/js/presentation_states.js";

const state = (label, left_out = []) => ({ label, left_out });

test("a state is called applied only where it is", () => {
  assert.equal(stateWords(state("BONE"), [state("BONE")]), "Presentation state applied: BONE");
  assert.equal(stateWords(state("BONE", ["a shutter"]), []), "Presentation state applied: BONE, without: a shutter");
  assert.equal(stateWords(null, [state("BONE"), state("LUNG")]), "Presentation state not applied: BONE, LUNG (Q)");
  assert.equal(stateWords(null, []), "");
});

test("no answer, unreadable ones and too many of them are told, not taken for none", () => {
  const found = { presentation_states: [], unreadable: [], is_more: false };
  assert.equal(troubleWords(found), "");
  assert.match(troubleWords(null), /could not be read/);
  assert.match(troubleWords({ ...found, unreadable: [{}] }), /^1 presentation state or key object could not be read$/);
  assert.match(troubleWords({ ...found, is_more: true }), /more presentation states/);
});
