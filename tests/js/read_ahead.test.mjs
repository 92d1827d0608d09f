// What is loaded while nobody waits: in which order, how many at once, and never before what is wanted.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Loads } from "../../web/static/js/loads.js";
import { ReadAhead } from "../../web/static/js/read_ahead.js";

const slice = (n) => ({ key: `${n}#1`, digest: "d", n });
const slices = (from, to) => Array.from({ length: to - from }, (_, at) => slice(from + at));
const breathe = () => new Promise((done) => setImmediate(done));

/** A store whose answers come when they are let go; each takes 100 bytes. */
function store(readAhead, limits = {}) {
  const asked = [];
  const load = (one, signal) =>
    new Promise((answer, fail) => {
      signal.addEventListener("abort", () => fail(new DOMException("given up", "AbortError")));
      asked.push({ n: one.n, signal, come: () => answer({ bytes: 100 }), fail });
    });
  return { asked, loads: new Loads(load, { budgetBytes: 1e6, aheadShare: 1, ...limits }, readAhead) };
}
const numbers = (asked) => asked.map(({ n }) => n);
async function allCome(asked, from = 0) {
  for (let at = from; at < asked.length; at += 1) {
    asked[at].come();
    await breathe();
  }
}

test("nothing is loaded ahead while somebody waits, then as much at once as the line bears", async () => {
  const { asked, loads } = store(new ReadAhead(() => 3));
  loads.get({}, slice(0), slices(1, 9));
  assert.deepEqual(numbers(asked), [0]);
  asked[0].come();
  await breathe();
  assert.deepEqual(numbers(asked), [0, 1, 2, 3]);
  await allCome(asked, 1);
  assert.deepEqual(numbers(asked), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("however many are allowed, connections stay free for what is wanted next", async () => {
  const { asked, loads } = store(new ReadAhead(() => 99));
  loads.ahead({}, slices(1, 50));
  assert.equal(asked.length, 4);
  loads.get({}, slice(77), slices(1, 50));
  await breathe();
  assert.equal(asked.filter(({ signal }) => !signal.aborted).length, 4);
  assert.ok(!asked[asked.length - 1].signal.aborted && asked[asked.length - 1].n === 77);
});

test("what nobody wants any more is given up", async () => {
  const { asked, loads } = store(new ReadAhead(() => 2));
  const tile = {};
  loads.ahead(tile, slices(1, 9));
  loads.ahead(tile, slices(2, 9));
  await breathe();
  assert.deepEqual(asked.filter(({ signal }) => signal.aborted).map(({ n }) => n), [1]);
  loads.leave(tile);
  await breathe();
  assert.ok(asked.every(({ signal }) => signal.aborted));
});

test("previews of the stack come before values of neighbours", async () => {
  const readAhead = new ReadAhead(() => 2);
  const previews = store(readAhead);
  const values = store(readAhead);
  previews.loads.ahead({}, slices(1, 4));
  values.loads.get({}, slice(0), slices(1, 3));
  await allCome(values.asked);
  assert.deepEqual(numbers(values.asked), [0]);
  await allCome(previews.asked);
  assert.deepEqual(numbers(previews.asked), [1, 2, 3]);
  assert.deepEqual(numbers(values.asked), [0, 1, 2]);
});

test("a budget holds, whatever the length of the stack", async () => {
  const { asked, loads } = store(new ReadAhead(() => 4), { budgetBytes: 10000 });
  loads.get({}, slice(0), slices(1, 2000));
  await allCome(asked);
  assert.ok(loads.bytes <= 10000);
  assert.equal(asked.length, 101);
});

test("one that is refused is passed over; when the node is gone nothing more is asked for", async () => {
  const { asked, loads } = store(new ReadAhead(() => 1));
  loads.ahead({}, slices(1, 9));
  asked[0].fail(new Error("refused"));
  await breathe();
  assert.deepEqual(numbers(asked), [1, 2]);
  asked[1].fail(new TypeError("the line broke"));
  await breathe();
  assert.deepEqual(numbers(asked), [1, 2]);
});
