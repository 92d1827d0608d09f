// Statistics of large areas come when the area rests, whole and exact, and only the last that was asked for.
import assert from "node:assert/strict";
import { test } from "node:test";

import { statisticsOf } from "../../../web/static/js/area_statistics.js";
import { SettledStatistics } from "../../../web/static/js/settled_statistics.js";

const [rows, columns] = [900, 700];
const pixels = Uint16Array.from({ length: rows * columns }, (_, at) => (at * 7919) % 4093);
const frame = { info: { rows, columns, kind: "grey", modality: { rescale_slope: 0.37, rescale_intercept: -11 }, pixel_padding: [5, 9] }, pixels };
const mark = (x, y) => ({ mark_id: "m", kind: "ellipse", points: [[3.2, 4.1], [x, y]] });

test("a small area is there at once, a large one when it rests, as exact", async () => {
  const ready = [];
  const settled = new SettledStatistics((one) => ready.push(one));
  assert.deepEqual(settled.of(mark(90, 80), frame), statisticsOf(frame, "ellipse", { x: 3.2, y: 4.1 }, { x: 90, y: 80 }));
  const [first, last] = [mark(600, 800), mark(690.5, 880.25)];
  assert.equal(settled.of(first, frame), null);
  assert.equal(settled.of(last, frame), null);
  const deadline = performance.now() + 20000;
  while (!ready.length && performance.now() < deadline) await new Promise((done) => setTimeout(done, 10));
  assert.deepEqual(ready, [last]);
  assert.deepEqual(settled.of(last, frame), statisticsOf(frame, "ellipse", { x: 3.2, y: 4.1 }, { x: 690.5, y: 880.25 }));
  assert.equal(settled.of(last, { ...frame }), null, "another frame is worked out anew");
  clearTimeout(settled.asked.get("m").timer);
});
