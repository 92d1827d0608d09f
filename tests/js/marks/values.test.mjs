// What marks say, in words.
import assert from "node:assert/strict";
import { test } from "node:test";

import { newMark } from "../../../web/static/js/mark_kinds.js";
import { figure, linesOf, OTHER_VERSION, WAITING } from "../../../web/static/js/mark_values.js";

const slice = { key: "1.2.3#1", series_instance_uid: "1.2", sop_instance_uid: "1.2.3", frame_number: 1, digest: "abc" };
const frame = (changes = {}, pixels = Int16Array.from({ length: 100 }, (_, n) => n)) => ({
  slice,
  pixels,
  info: {
    kind: "grey",
    rows: 10,
    columns: 10,
    regions: [],
    pixel_spacing: { row: 0.5, column: 0.5, origin: "detector", refused: "" },
    pixel_aspect_ratio: [1, 1],
    pixel_padding: null,
    modality: { rescale_slope: 1, rescale_intercept: 0, rescale_type: "", lut: null },
    series: { modality: "DX" },
    sop_class_uid: "",
    ...changes,
  },
});
const mark = (kind, ...points) => newMark(kind, slice, points.map(([x, y]) => ({ x, y })), "0");

test("a length says its unit and where its scale comes from", () => {
  const length = mark("length", [0, 0], [6, 8]);
  assert.deepEqual(linesOf(length, frame()), ["5.0 mm · at detector"]);
  const none = { row: null, column: null, origin: "none", refused: "" };
  assert.deepEqual(linesOf(length, frame({ pixel_spacing: none })), ["10.0 px · uncalibrated"]);
  const unknown = { row: 1, column: 1, origin: "unknown", refused: "" };
  assert.deepEqual(linesOf(length, frame({ pixel_spacing: unknown })), ["10.0 mm · approx., at detector or unknown"]);
});

test("in a spectrum time and velocity are told apart, and no length", () => {
  const region = { min_x: 0, min_y: 0, max_x: 9, max_y: 9, spatial_format: "spectral", unit_x: "s", unit_y: "cm/s", delta_x: 0.1, delta_y: -2, is_low_priority: false, reference_y: 5, reference_value_y: 0 };
  const lines = linesOf(mark("length", [1.5, 2.5], [3.5, 8.5]), frame({ regions: [region] }));
  assert.deepEqual(lines, ["0.2 s · 12 cm/s", "From 6 to -6 cm/s"]);
  const across = linesOf(mark("length", [1, 1], [30, 1]), frame({ regions: [region] }));
  assert.deepEqual(across, ["29.0 px · uncalibrated", "An end lies outside the calibrated regions"]);
});

test("values wait for the stored values, lengths do not", () => {
  const preview = { ...frame(), pixels: null };
  for (const kind of ["ellipse", "rectangle"]) assert.deepEqual(linesOf(mark(kind, [1, 1], [5, 5]), preview), [WAITING]);
  assert.deepEqual(linesOf(mark("probe", [1, 1]), preview), [WAITING]);
  assert.deepEqual(linesOf(mark("length", [0, 0], [6, 8]), preview), ["5.0 mm · at detector"]);
});

test("on other bytes a mark says nothing but that", () => {
  const other = { ...mark("length", [0, 0], [6, 8]), digest: "def" };
  assert.deepEqual(linesOf(other, frame()), [OTHER_VERSION]);
});

test("a pixel says its value, padding says that it is none", () => {
  assert.deepEqual(linesOf(mark("probe", [3.9, 2.1]), frame()), ["23"]);
  assert.deepEqual(linesOf(mark("probe", [3.9, 2.1]), frame({ pixel_padding: [20, 30] })), ["Padding, not a value"]);
  assert.deepEqual(linesOf(mark("probe", [10, 2]), frame()), ["Outside the image"]);
  const rgb = Uint8Array.from({ length: 300 }, (_, n) => n % 256);
  assert.deepEqual(linesOf(mark("probe", [1, 0]), frame({ kind: "colour" }, rgb)), ["R 3 G 4 B 5"]);
});

test("an area says what was counted and what was not", () => {
  const lines = linesOf(mark("rectangle", [0, 0], [2, 1]), frame({ pixel_padding: [1, 1] }));
  assert.deepEqual(lines, ["Mean 0 · SD 0", "Min 0 · Max 0", "Area 0.5 mm² · at detector", "1 px", "1 px of padding not counted"]);
  assert.deepEqual(linesOf(mark("rectangle", [0.6, 0.6], [0.9, 0.9]), frame())[0], "No values here");
});

test("numbers are as precise as they are of use", () => {
  assert.deepEqual([0, -3, 12.345, 1.2345, 0.012345, 1234.56].map(figure), ["0", "-3", "12.3", "1.23", "0.0123", "1234.6"]);
});
