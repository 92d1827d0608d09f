// Grey levels of the browser equal those of the node, for every stored value.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  clampedWindow,
  draggedWindow,
  extremes,
  greyOf,
  greyTable,
  initialVoi,
  isHounsfield,
  paintColour,
  greyPainter,
  typedPixels,
  windowLevel,
  windowToDrag,
} from "../../web/static/js/windowing.js";
import { windowWords } from "../../web/static/js/texts.js";

const plain = {
  pixels: { dtype: "int16", min: -32768, max: 32767 },
  modality: { rescale_slope: 1, rescale_intercept: 0, rescale_type: "HU", lut: null },
  windows: [],
  voi_luts: [],
  initial: null,
  invert: false,
  pixel_padding: null,
  series: { modality: "CT" },
};
const window = (center, width, name = "LINEAR") => ({ kind: "window", center, width, function: name });

test("a linear window has the half level shift of the standard", () => {
  // PS3.3 C.11.2.1.2.1: center 2048, width 4096 maps 0 to black and 4095 to white
  assert.equal(windowLevel(window(2048, 4096), 0), 0);
  assert.equal(windowLevel(window(2048, 4096), 4095), 255);
  assert.equal(windowLevel(window(2048, 4096), -1), 0);
  assert.equal(windowLevel(window(2048, 1), 2047), 0);
  assert.equal(windowLevel(window(2048, 1), 2048), 255);
});

test("a window narrower than one does not divide by zero", () => {
  const levels = [-1, 0, 1].map((x) => windowLevel(window(0, 0.25), x));
  assert.deepEqual(levels, [0, 127.5, 255]);
});

test("padding is black, inverted or not", () => {
  const info = { ...plain, invert: true, pixel_padding: [-2000, -1000] };
  const grey = greyOf(info, window(40, 400), false);
  assert.equal(grey(-1500), 0);
  assert.equal(grey(-900), 255);
});

test("the user's inversion turns that of the file back", () => {
  const info = { ...plain, invert: true };
  assert.equal(greyOf(info, window(0, 100), false)(1000), 0);
  assert.equal(greyOf(info, window(0, 100), true)(1000), 255);
});

test("values beyond a table take its ends", () => {
  const info = { ...plain, voi_luts: [{ first: 10, bits: 8, values: [0, 128, 255] }] };
  const grey = greyOf(info, { kind: "voi_lut", index: 0 }, false);
  assert.deepEqual([-100, 10, 11, 12, 500].map(grey), [0, 0, 128, 255, 255]);
});

test("pixels too wide for a table are computed one by one", () => {
  const info = { ...plain, pixels: { dtype: "int32", min: -(2 ** 31), max: 2 ** 31 - 1 } };
  assert.equal(greyTable(info, window(0, 2), false), null);
  const rgba = new Uint32Array(2);
  greyPainter(info, window(0, 100), false)(Int32Array.of(-5_000_000, 5_000_000), rgba);
  assert.deepEqual([...rgba], [0xff000000, 0xffffffff]);
});

test("colour is drawn as it is and inverted on demand", () => {
  const rgba = new Uint32Array(1);
  paintColour(Uint8Array.of(1, 2, 3), false, rgba);
  assert.deepEqual([...new Uint8Array(rgba.buffer)], [1, 2, 3, 255]);
  paintColour(Uint8Array.of(1, 2, 3), true, rgba);
  assert.deepEqual([...new Uint8Array(rgba.buffer)], [254, 253, 252, 255]);
});

test("dragging to the right widens, upwards brightens", () => {
  const start = window(40, 400);
  const after = draggedWindow(start, 10, 20, 4096);
  assert.ok(after.width > start.width);
  assert.ok(after.center < start.center);
  assert.equal(draggedWindow(start, -1e6, 0, 4096).width, 1);
});

test("a drag reaches windows of every size: a step is never lost in rounding", () => {
  for (const width of [0.0004, 0.02, 1.5, 80, 400, 5000, 65535, 4e6]) {
    const start = window(width / 3, width);
    const near = draggedWindow(start, 1, 1, 0);
    assert.ok(near.width > start.width && near.center < start.center, `width ${width}`);
    const far = draggedWindow(start, 100, 0, 0);
    assert.ok(Math.abs(far.width - width * (1 + 100 / 512)) < width / 500, `width ${width}`);
  }
});

test("what is told of a window is what is drawn", () => {
  const dragged = draggedWindow(window(40, 400), 33, 17, 4096);
  assert.equal(windowWords(dragged), `W ${dragged.width}  L ${dragged.center}`);
  assert.equal(windowWords(window(-600, 1500)), "W 1500  L -600");
});

test("windows of counts do not reach below nothing", () => {
  const info = { series: { modality: "PT" } };
  const clamped = clampedWindow(info, window(100, 400));
  assert.equal(clamped.center - clamped.width / 2, 0);
  assert.equal(clamped.center + clamped.width / 2, 300);
  assert.deepEqual(clampedWindow({ series: { modality: "CT" } }, window(100, 400)), window(100, 400));
  assert.deepEqual(clampedWindow(info, window(300, 400)), window(300, 400));
});

test("dragging a table starts from the window over its domain", () => {
  const info = { ...plain, voi_luts: [{ first: 100, bits: 8, values: new Array(200).fill(0) }] };
  assert.deepEqual(windowToDrag(info, { kind: "voi_lut", index: 0 }), window(200, 200));
});

test("the first look is the one the file names, else the whole range", () => {
  assert.deepEqual(initialVoi({ ...plain, initial: { kind: "window", center: 40, width: 80, function: "SIGMOID" } }), window(40, 80, "SIGMOID"));
  assert.deepEqual(initialVoi({ ...plain, initial: { kind: "voi_lut", index: 1 } }), { kind: "voi_lut", index: 1 });
  assert.deepEqual(initialVoi({ ...plain, pixels: { dtype: "uint8", min: 0, max: 255 } }), window(128, 256));
});

test("CT presets are offered for Hounsfield units only", () => {
  assert.ok(isHounsfield(plain));
  assert.ok(!isHounsfield({ ...plain, series: { modality: "MR" } }));
  assert.ok(!isHounsfield({ ...plain, modality: { ...plain.modality, rescale_type: "US" } }));
});

test("extremes leave padding out and know a frame of padding only", () => {
  assert.deepEqual(extremes([-2000, 5, 7], [-2000, -1000]), [5, 7]);
  assert.deepEqual(extremes([-2000], [-2000, -1000]), [0, 0]);
});

test("bytes of an unknown type are refused", () => {
  assert.throws(() => typedPixels(new ArrayBuffer(2), "float16"), RangeError);
});

test("floating point values that are no numbers are background, inverted or not", () => {
  const stored = typedPixels(new Float32Array([0.5, NaN, Infinity, -Infinity, 0.25]).buffer, "float32");
  assert.deepEqual(extremes(stored, null), [0.25, 0.5]);
  const info = { ...plain, pixels: { dtype: "float32", min: -3.4e38, max: 3.4e38 } };
  for (const [isInverted, level] of [[false, 255], [true, 0]]) {
    const rgba = new Uint32Array(5);
    greyPainter(info, window(0.25, 0.5, "LINEAR_EXACT"), isInverted)(stored, rgba);
    assert.deepEqual([...rgba].map((pixel) => pixel & 0xff), [level, 0, 0, 0, isInverted ? 127 : 128]);
  }
});

const vectors = process.env.LIFEBOAT_VECTORS;
test("tables equal the node's for all 65,536 stored values", { skip: !vectors && "run by pytest" }, () => {
  for (const { name, info, voi, inverted, levels } of JSON.parse(readFileSync(vectors, "utf8"))) {
    const table = greyTable(info, voi, inverted);
    assert.equal(Buffer.from(table).toString("base64"), levels, name);
  }
});
