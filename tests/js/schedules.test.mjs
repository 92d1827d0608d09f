// A thousand random orders of wishes and answers: what is drawn is always what is wanted, of its own patient.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { FrameStore, ReducedStore } from "../../web/static/js/frames.js";
import { versionKey } from "../../web/static/js/loads.js";
import { Marks } from "../../web/static/js/marks.js";
import { previewFrame, PreviewStore } from "../../web/static/js/previews.js";
import { ReadAhead } from "../../web/static/js/read_ahead.js";
import { SliceLoader } from "../../web/static/js/slice_loader.js";
import { Tile } from "../../web/static/js/tile.js";

const readAhead = (atOnce = 2) => new ReadAhead(() => atOnce);

const SCHEDULES = 1000;
const real = { fetch: globalThis.fetch, createImageBitmap: globalThis.createImageBitmap };
after(() => Object.assign(globalThis, real));

/** Numbers in [0, 1) that depend on the seed only (mulberry32). */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Two patients with six images each; each image's first stored value tells which one it is. */
const SLICES = ["MILL", "STONE"].flatMap((patient, p) =>
  Array.from({ length: 6 }, (_, n) => ({
    key: `${p}.${n}#1`,
    url: `/${p}/${n}`,
    digest: `${p}${n}`.padEnd(16, "0"),
    study_instance_uid: `1.${p}`,
    series_instance_uid: `1.${p}.1`,
    sop_instance_uid: `${p}.${n}`,
    frame_number: 1,
    patient,
    value: 10 * p + n,
  })),
);

const infoOf = (slice) => ({
  kind: "grey",
  reason: null,
  study_instance_uid: slice.study_instance_uid,
  series_instance_uid: slice.series_instance_uid,
  sop_instance_uid: slice.sop_instance_uid,
  frame_number: 1,
  rows: 1,
  columns: 1,
  pixels: { dtype: "uint8", min: 0, max: 255 },
  pixel_padding: null,
  modality: { rescale_slope: 1, rescale_intercept: 0, lut: null },
  display: { name: slice.patient },
});

/** An answer with what the modules use of it; a thousand real ones would take long to make. */
const answered = (bytes, headers = {}) => ({
  ok: true,
  status: 200,
  headers: { get: (name) => headers[name] },
  json: async () => JSON.parse(new TextDecoder().decode(bytes)),
  arrayBuffer: async () => bytes.buffer,
});
const encoded = (slice) => new TextEncoder().encode(JSON.stringify(infoOf(slice))).slice();

const ANSWERS = {
  info: (slice) => answered(encoded(slice)),
  pixels: (slice, step) => answered(Uint8Array.of(slice.value), { "X-Frame": slice.key, "X-Reduced": step }),
  preview: (slice) => {
    const info = encoded(slice);
    return answered(Uint8Array.of(...info, slice.value), { "X-Frame": slice.key, "X-Info-Length": String(info.length) });
  },
};

/** A node whose answers wait until they are let go; now and then one belongs to another image, or is lost. */
function slowNode(random) {
  const waiting = [];
  const fetch = (url, { signal } = {}) =>
    new Promise((answer, fail) => {
      const gone = () => fail(new DOMException("given up", "AbortError"));
      if (signal) signal.addEventListener("abort", gone);
      waiting.push(() => {
        const [, p, n, kind] = url.split(/[/?]/);
        const step = /reduce=(\d+)/.exec(url);
        const asked = SLICES.find((slice) => slice.url === `/${p}/${n}`);
        const fate = random();
        if (fate < 0.05) fail(new TypeError("the line broke"));
        else answer(ANSWERS[kind](fate < 0.15 ? SLICES[Math.floor(random() * SLICES.length)] : asked, step && step[1]));
      });
    });
  const letGo = () => waiting.length && waiting.splice(Math.floor(random() * waiting.length), 1)[0]();
  return { fetch, waiting, letGo };
}

/** A picture in the page: mostly of what its key says, now and then with the info of another study. */
function cameInThePage(random) {
  const slice = SLICES[Math.floor(random() * SLICES.length)];
  const info = infoOf(slice);
  if (random() < 0.3) info.study_instance_uid = "9.9";
  const jpeg = new Blob([Uint8Array.of(slice.value)]);
  return { answer: { digest: slice.digest, correction_id: "", info }, jpeg, picture: bitmap(info.study_instance_uid === "9.9" ? -1 : slice.value) };
}

/** As a browser's: what is closed is drawn black. */
const bitmap = (value) => ({
  value,
  width: 1,
  isClosed: false,
  close() {
    this.isClosed = true;
  },
});

const breathe = () => new Promise((done) => setImmediate(done));

/** What a tile needs of a page to adopt frames. */
function newTile() {
  const nothing = () => {};
  return Object.assign(Object.create(Tile.prototype), {
    frame: null,
    texts: { identity: nothing, message: nothing, clear: nothing, field: nothing },
    viewport: { clear: nothing },
    frameListeners: { call: nothing },
    closeDocument: nothing,
    showPosition: nothing,
    showReason: nothing,
    draw: nothing,
  });
}
const tileDraws = (tile, frame) => tile.adopt(frame, frame.preview, null);

/** One schedule; returns how many frames were drawn, and notes what was wrong with them. */
let reduced = 0;
async function play(seed, wrong) {
  const random = randomFrom(seed);
  const node = slowNode(random);
  globalThis.fetch = node.fetch;
  globalThis.createImageBitmap = async (jpeg) => {
    const [value] = new Uint8Array(await jpeg.arrayBuffer());
    if (random() < 0.5) await breathe();
    return bitmap(value);
  };
  const drawn = [];
  const tile = newTile();
  const previews = new PreviewStore(readAhead());
  previews.offer(cameInThePage(random));
  const stores = { frames: new FrameStore(readAhead()), previews, reduced: new ReducedStore(readAhead()), previewFrame, isSoonHere: () => random() < 0.8, ahead: () => ({ frames: 3, previews: 3 }), later: (act) => node.waiting.push(act) };
  const loader = new SliceLoader(stores, {
    onFrame: (frame) => {
      const wanted = loader.wanted;
      const values = frame.pixels || (frame.reduced && frame.reduced.pixels);
      const value = values ? values[0] : frame.preview.value;
      if (frame.reduced && !frame.pixels) reduced += 1;
      if (frame.slice.key !== wanted.key) wrong.push(`seed ${seed}: another slice was drawn`);
      if (value !== wanted.value) wrong.push(`seed ${seed}: pixels of another image were drawn`);
      if (frame.info.display.name !== wanted.patient) wrong.push(`seed ${seed}: the banner names another patient`);
      if (frame.preview && frame.preview.isClosed) wrong.push(`seed ${seed}: a closed picture was drawn`);
      tileDraws(tile, frame);
      drawn.push(frame);
    },
    onFailure: () => {},
    stepOf: () => 2,
  });
  for (let step = 0; step < 40; step += 1) {
    const deed = random();
    if (deed < 0.3) {
      const at = Math.floor(random() * SLICES.length);
      const near = [1, 2, 3].map((on) => SLICES[at + on]).filter(Boolean);
      loader.want(SLICES[at], { previews: near, frames: near, drawn: near });
    } else if (deed < 0.34) loader.leave();
    else if (deed < 0.4) loader.retry();
    else if (deed < 0.45) loader.needValues();
    else node.letGo();
    if (random() < 0.4) await breathe();
  }
  while (node.waiting.length) {
    node.letGo();
    if (random() < 0.5) await breathe();
  }
  return drawn.length;
}

test("in a thousand schedules of late, reordered, wrong and lost answers no wrong image is drawn", async () => {
  let drawn = 0;
  const wrong = [];
  for (let seed = 1; seed <= SCHEDULES; seed += 1) drawn += await play(seed, wrong);
  assert.deepEqual(wrong, []);
  assert.ok(reduced > SCHEDULES / 10, `only ${reduced} reduced frames were drawn`);
  assert.ok(drawn > 2 * SCHEDULES, `only ${drawn} frames were drawn: the schedules prove little`);
});

test("what came in the page is drawn at once, for its own slice under its own identity only", () => {
  const came = (change) => ({ answer: { digest: SLICES[0].digest, correction_id: "", info: { ...infoOf(SLICES[0]), ...change } }, jpeg: new Blob(["1"]), picture: {} });
  const ready = (payload, slice) => {
    const previews = new PreviewStore(readAhead());
    previews.offer(payload);
    return previews.ready(slice);
  };
  assert.equal(ready(came({}), SLICES[0]).info.display.name, "MILL");
  assert.equal(ready(came({}), SLICES[1]), null);
  assert.equal(ready(came({}), { ...SLICES[0], digest: "other bytes" }), null);
  assert.equal(ready(came({}), { ...SLICES[0], correction_id: "c1" }), null);
  assert.equal(ready(came({ study_instance_uid: "9.9" }), SLICES[0]), null);
  assert.equal(ready(came({ correction: { correction_id: "c2" } }), SLICES[0]), null);
});

test("pictures that tiles share stay open, whichever tile moves on", () => {
  const previews = new PreviewStore(readAhead());
  const [one, other] = SLICES.map((slice) => ({ slice, info: infoOf(slice), pixels: null, preview: bitmap(slice.value) }));
  previews.hold(versionKey(one.slice), one);
  const tiles = [newTile(), newTile()];
  for (const tile of tiles) tileDraws(tile, previews.ready(one.slice));
  tileDraws(tiles[0], other);
  tiles[0].blank("empty");
  assert.ok(!tiles[1].frame.preview.isClosed, "the other tile would be black under the patient's name");
  assert.ok(!previews.ready(one.slice).preview.isClosed);
});

test("values of a measured image are asked for at each visit", () => {
  const frame = { slice: SLICES[0], pixels: null };
  let asked = 0;
  const marks = { keys: { cross: null }, marksOn: () => [{ kind: "rectangle" }], drafting: { marksOn: () => [] }, layerOf: () => ({ draw: () => {} }) };
  for (let visit = 0; visit < 2; visit += 1) Marks.prototype.showTile.call(marks, { frame, loader: { needValues: () => (asked += 1) } });
  assert.equal(asked, 2, "the picture is the same object, its values may have been given up");
});

test("the last wish is always granted when the line is good", async () => {
  const node = slowNode(() => 0.5);
  globalThis.fetch = node.fetch;
  globalThis.createImageBitmap = async () => ({});
  const drawn = [];
  const stores = { frames: new FrameStore(readAhead()), previews: new PreviewStore(readAhead()), reduced: new ReducedStore(readAhead()), previewFrame, isSoonHere: () => true, ahead: () => ({ frames: 0, previews: 0 }), later: (act) => node.waiting.push(act) };
  const loader = new SliceLoader(stores, { onFrame: (frame) => drawn.push(frame), onFailure: (error) => assert.fail(error), stepOf: () => 1 });
  for (const slice of SLICES) loader.want(slice, { previews: [], frames: [], drawn: [] });
  for (let turn = 0; turn < 200; turn += 1) {
    node.letGo();
    await breathe();
  }
  const last = SLICES[SLICES.length - 1];
  assert.deepEqual(drawn.map((frame) => [frame.slice.key, Boolean(frame.pixels)]), [[last.key, false], [last.key, true]]);
});

test("fewer values serve to look over a slow line; whoever needs values gets every one", async () => {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    const [, , , kind] = url.split(/[/?]/);
    return ANSWERS[kind](SLICES[0], (/reduce=(\d+)/.exec(url) || [])[1]);
  };
  globalThis.createImageBitmap = async () => ({});
  const drawn = [];
  const stores = { frames: new FrameStore(readAhead()), previews: new PreviewStore(readAhead()), reduced: new ReducedStore(readAhead()), previewFrame, isSoonHere: () => false, ahead: () => ({ frames: 0, previews: 0 }), later: (act) => setImmediate(act) };
  const loader = new SliceLoader(stores, { onFrame: (frame) => drawn.push(frame), onFailure: (error) => assert.fail(error), stepOf: () => 3 });
  loader.want(SLICES[0], { previews: [], frames: [], drawn: [] });
  for (let turn = 0; turn < 30; turn += 1) await breathe();
  const last = () => drawn[drawn.length - 1];
  assert.equal(last().reduced.step, 3);
  assert.equal(last().pixels, null, "nothing can measure what is reduced");
  const before = asked.length;
  loader.needLevels();
  for (let turn = 0; turn < 10; turn += 1) await breathe();
  assert.equal(asked.length, before, "it is windowed as it is");
  loader.needValues();
  for (let turn = 0; turn < 30; turn += 1) await breathe();
  assert.ok(last().pixels);
});
