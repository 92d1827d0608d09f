import assert from "node:assert/strict";
import { test } from "node:test";

import { ahead, nearestShown, onward, openingSlices, sameSlice, slicesOf, stepped } from "../../web/static/js/stack.js";

const series = (modality, ...frames) => ({
  series_instance_uid: "1.2",
  modality,
  instances: frames.map((number_of_frames, at) => ({ sop_instance_uid: `1.2.${at}`, number_of_frames, digest: `d${at}` })),
  stacks: [{ frames: frames.map((number_of_frames, at) => [at, 1, number_of_frames]) }],
});

test("every frame of every instance is a slice, in order", () => {
  const slices = slicesOf("1", series("US", 1, 3));
  assert.deepEqual(slices.map((slice) => slice.key), ["1.2.0#1", "1.2.1#1", "1.2.1#2", "1.2.1#3"]);
  assert.equal(slices[3].url, "/api/v1/studies/1/series/1.2/instances/1.2.1/frames/3");
});

test("loading ahead goes in the direction of motion and stays inside", () => {
  assert.deepEqual(ahead(0, 3, 1), [1, 2]);
  assert.deepEqual(ahead(5, 100, -1).slice(0, 4), [4, 6, 3, 7]);
});

test("a whole stack is loaded ahead, every slice once, the nearest first and most in the direction of motion", () => {
  const found = ahead(100, 200, 1, 1000);
  assert.deepEqual(found.slice(0, 10), [101, 99, 102, 98, 103, 104, 97, 105, 106, 96]);
  assert.equal(new Set(found).size, 199);
  assert.ok(found.indexOf(160) < 100);
  assert.deepEqual(ahead(0, 5, 1, 1000), [1, 2, 3, 4]);
  assert.equal(ahead(1000, 2000, -1, 300).length, 300);
});

test("what is drawn next lies on the way", () => {
  const slices = slicesOf("1", series("CT", 1, 1, 1, 1));
  assert.deepEqual(onward(slices, 1, 1).map((one) => one.key), ["1.2.2#1", "1.2.3#1"]);
  assert.deepEqual(onward(slices, 2, -1, 1).map((one) => one.key), ["1.2.1#1"]);
});

test("of other series the slice is loaded ahead that they open with", () => {
  const all = [{ ...series("CT", 1, 1, 1), opens_at: 1 }, { ...series("SR", 1), opens_at: 0 }];
  all[0].instances.forEach((instance) => (instance.rows = 64));
  assert.deepEqual(openingSlices("1", all).map((one) => one.key), ["1.2.1#1"]);
});

test("the viewed slice is found again when others join before it", () => {
  const before = slicesOf("1", series("CT", 1, 1));
  const after = [{ ...before[0], key: "new#1" }, ...before];
  assert.equal(sameSlice(after, before[1].key, 1), 2);
  assert.equal(sameSlice([], "gone#1", 5), 0);
});

test("frames of one instance stand in the order of their places", () => {
  const turned = { ...series("CT", 3), stacks: [{ frames: [[0, 3, 1], [0, 2, 1], [0, 1, 1]] }] };
  assert.deepEqual(slicesOf("1", turned).map((slice) => slice.frame_number), [3, 2, 1]);
});

test("scrolling over some slices only goes from one to the next of them, from wherever it begins", () => {
  const slices = slicesOf("1", series("CT", 1, 1, 1, 1, 1, 1, 1));
  const isShown = (slice) => ["1.2.1#1", "1.2.4#1", "1.2.5#1"].includes(slice.key);
  const from = (index, steps) => stepped(slices, index, steps, isShown);
  assert.deepEqual([from(1, 1), from(1, 2), from(1, 9), from(5, 1)], [4, 5, 5, 5]);
  assert.deepEqual([from(5, -1), from(5, -2), from(1, -1)], [4, 1, 1]);
  assert.deepEqual([from(0, 1), from(2, 1), from(2, -1), from(6, -1), from(6, 1)], [1, 4, 1, 5, 5]);
  assert.equal(stepped(slices, 3, 1, () => false), -1);
});

test("a place leads to the nearest slice that is let through, on the way first", () => {
  const slices = slicesOf("1", series("CT", 1, 1, 1, 1, 1, 1, 1));
  const isShown = (slice) => ["1.2.1#1", "1.2.4#1"].includes(slice.key);
  const near = (to, direction) => nearestShown(slices, to, direction, isShown);
  assert.deepEqual([near(2, 1), near(2, -1), near(6, 1), near(0, -1), near(4, 1), near(Infinity, 1)], [4, 1, 4, 1, 4, 4]);
  assert.equal(nearestShown(slices, 2, 1, () => false), -1);
});
