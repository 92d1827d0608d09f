// The store of frames against a node that answers late, out of order, or with another frame.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { FrameStore, WrongFrame } from "../../web/static/js/frames.js";
import { versionKey } from "../../web/static/js/loads.js";
import { ReadAhead } from "../../web/static/js/read_ahead.js";

const readAhead = (atOnce = 2) => new ReadAhead(() => atOnce);

const slice = (sop, digest = "0123456789abcdef") => ({
  key: `${sop}#1`,
  url: `/api/v1/${sop}`,
  digest,
  sop_instance_uid: sop,
  frame_number: 1,
  series_instance_uid: "1.2",
  study_instance_uid: "1",
});
const infoOf = (sop) => ({
  kind: "grey",
  sop_instance_uid: sop,
  frame_number: 1,
  series_instance_uid: "1.2",
  study_instance_uid: "1",
  rows: 1,
  columns: 2,
  pixels: { dtype: "uint8", min: 0, max: 255 },
  pixel_padding: null,
  modality: { rescale_slope: 1, rescale_intercept: 0, lut: null },
});

const tile = {};
const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

/** Answer as the node does; `change` may alter what an address gives. */
function node(change = (url, answer) => answer) {
  const asked = [];
  globalThis.fetch = async (url, options = {}) => {
    asked.push(url);
    const sop = url.split("/")[3];
    const answer = url.includes("/info")
      ? Response.json(infoOf(sop))
      : new Response(Uint8Array.of(3, 9), { headers: { "X-Frame": `${sop}#1` } });
    const given = await change(url, answer, options);
    options.signal?.throwIfAborted();
    return given;
  };
  return asked;
}

test("a frame is fetched once and knows its range", async () => {
  const asked = node();
  const store = new FrameStore(readAhead());
  const frame = await store.get(tile, slice("7"), []);
  assert.deepEqual([...frame.pixels], [3, 9]);
  assert.equal(frame.range, 6);
  await store.get(tile, slice("7"), []);
  assert.deepEqual(asked, ["/api/v1/7/pixels?v=0123456789abcdef&packing=differences", "/api/v1/7/info?v=0123456789abcdef"]);
});

test("pixels that name another frame are refused", async () => {
  node((url, answer) => (url.includes("/pixels") ? new Response(Uint8Array.of(1, 2), { headers: { "X-Frame": "8#1" } }) : answer));
  await assert.rejects(new FrameStore(readAhead()).get(tile, slice("7"), []), WrongFrame);
});

test("an info that names another frame is refused", async () => {
  node((url, answer) => (url.includes("/info") ? Response.json(infoOf("8")) : answer));
  await assert.rejects(new FrameStore(readAhead()).get(tile, slice("7"), []), WrongFrame);
});

test("pixels of another size than the info says are refused", async () => {
  node((url, answer) => (url.includes("/pixels") ? new Response(Uint8Array.of(1), { headers: { "X-Frame": "7#1" } }) : answer));
  await assert.rejects(new FrameStore(readAhead()).get(tile, slice("7"), []), WrongFrame);
});

test("what cannot be shown gives the reason instead of pixels", async () => {
  node((url, answer) => (url.includes("/pixels") ? Response.json({ error: { code: "unsupported-pixels", message: "Damaged." } }, { status: 406 }) : answer));
  const frame = await new FrameStore(readAhead()).get(tile, slice("7"), []);
  assert.equal(frame.pixels, null);
  assert.deepEqual(frame.reason, { code: "unsupported-pixels", message: "Damaged." });
});

test("other bytes under the same UID are another frame", async () => {
  const asked = node();
  const store = new FrameStore(readAhead());
  await store.get(tile, slice("7"), []);
  await store.get(tile, slice("7", "fedcba9876543210"), []);
  assert.equal(asked.length, 4);
});

test("the same bytes under another identity are another frame, asked for by that identity", async () => {
  const asked = node();
  const store = new FrameStore(readAhead());
  await store.get(tile, slice("7"), []);
  await store.get(tile, { ...slice("7"), correction_id: "c1" }, []);
  assert.equal(asked.filter((url) => url.endsWith("&correction=c1")).length, 1);
  assert.equal(asked.length, 4);
});

test("what is no longer wanted is given up, what is next is loaded", async () => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  node(async (url, answer) => {
    if (url.startsWith("/api/v1/1/")) await gate;
    return answer;
  });
  const store = new FrameStore(readAhead());
  const stale = store.get(tile, slice("1"), []);
  const frame = await store.get(tile, slice("2"), [slice("3")]);
  release();
  await assert.rejects(stale, { name: "AbortError" });
  assert.equal(frame.slice.key, "2#1");
  await store.one(slice("3"));
  assert.ok(store.has(slice("3")));
  assert.ok(!store.has(slice("1")));
});

test("memory stays within the budget, the oldest frame goes first", () => {
  const store = new FrameStore(readAhead());
  const big = { bytes: 30 * 1024 * 1024 };
  for (const sop of ["1", "2", "3"]) store.keep(versionKey(slice(sop)), big);
  assert.ok(!store.has(slice("1")));
  assert.ok(store.has(slice("2")) && store.has(slice("3")));
});

test("what is loaded ahead never drives out what is looked at", async () => {
  const asked = node();
  const store = new FrameStore(readAhead());
  store.budgetBytes = 2 * 4200 * 2; // room for two of these frames ahead
  await store.get(tile, slice("1"), ["2", "3", "4", "5"].map((sop) => slice(sop)));
  for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done));
  assert.deepEqual([...new Set(asked.map((url) => url.split("/")[3]))], ["1", "2", "3"]);
  assert.ok(store.has(slice("1")));
});

test("after the line broke, what hung is given up and asked for again", async () => {
  let isBroken = true;
  const hangs = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  const asked = node((url, answer, { signal }) => (isBroken ? hangs(signal) : answer));
  const store = new FrameStore(readAhead());
  const first = store.get(tile, slice("7"), []);
  isBroken = false;
  store.abandon();
  const again = await store.get(tile, slice("7"), []);
  assert.deepEqual([...again.pixels], [3, 9]);
  await assert.rejects(first, { name: "AbortError" });
  assert.equal(asked.filter((url) => url.includes("/info")).length, 2);
});
