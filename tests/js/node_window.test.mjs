// Pictures windowed by the node: each is told with its own window, and none comes after it was forgotten.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { NodeWindow } from "../../web/static/js/previews.js";

const real = { fetch: globalThis.fetch, createImageBitmap: globalThis.createImageBitmap };
after(() => Object.assign(globalThis, real));

const frame = { slice: { key: "7#1", study_instance_uid: "1", series_instance_uid: "1.2", sop_instance_uid: "7", frame_number: 1, digest: "0123456789abcdef" } };
const window = (center) => ({ kind: "window", center, width: 100, function: "LINEAR" });
const breathe = () => new Promise((done) => setImmediate(done));

/** A node that answers when it is let; the picture says which window it was asked for. */
function slowNode() {
  const waiting = [];
  globalThis.fetch = (url) => new Promise((answer) => waiting.push(() => answer(new Response(url.match(/window=(\d+)/)[1], { headers: { "X-Frame": "7#1" } }))));
  globalThis.createImageBitmap = async (blob) => blob.text();
  const letGo = async () => {
    waiting.shift()();
    for (let turn = 0; turn < 10; turn += 1) await breathe();
  };
  return { waiting, letGo };
}

test("every picture comes with the window it was made under, the last wish last", async () => {
  const node = slowNode();
  const drawn = [];
  const nodeWindow = new NodeWindow((_, voi, picture) => drawn.push([voi.center, picture]));
  for (const center of [10, 20, 30]) nodeWindow.ask(frame, window(center), 64);
  await node.letGo();
  await node.letGo();
  assert.deepEqual(drawn, [[10, "10"], [30, "30"]]);
  assert.equal(node.waiting.length, 0);
});

test("a picture on its way when it was forgotten is not drawn, the next one is", async () => {
  const node = slowNode();
  const drawn = [];
  const nodeWindow = new NodeWindow((_, voi) => drawn.push(voi.center));
  nodeWindow.ask(frame, window(10), 64);
  nodeWindow.forget();
  nodeWindow.ask(frame, window(20), 64);
  await node.letGo();
  assert.deepEqual(drawn, []);
  await node.letGo();
  assert.deepEqual(drawn, [20]);
});

test("only what nobody was handed is closed", async () => {
  const node = slowNode();
  const closed = [];
  globalThis.createImageBitmap = async (blob) => {
    const words = await blob.text();
    return { close: () => closed.push(words) };
  };
  const nodeWindow = new NodeWindow(() => {});
  nodeWindow.ask(frame, window(10), 64);
  await node.letGo();
  nodeWindow.ask(frame, window(20), 64);
  nodeWindow.forget();
  await node.letGo();
  assert.deepEqual(closed, ["20"]);
});
