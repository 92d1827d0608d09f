import assert from "node:assert/strict";
import { test } from "node:test";

import { autoWindow, offers } from "../../web/static/js/presets.js";

const info = {
  pixels: { dtype: "int16", min: -32768, max: 32767 },
  modality: { rescale_slope: 1, rescale_intercept: -1000, rescale_type: "HU", lut: null },
  windows: [
    { center: 40, width: 80, function: "LINEAR", explanation: "BRAIN" },
    { center: 400, width: 1800, function: "LINEAR", explanation: null },
  ],
  voi_luts: [{ first: 0, bits: 8, values: [0, 255], explanation: "SKIN" }],
  initial: { kind: "window", center: 40, width: 80, function: "LINEAR" },
  pixel_padding: null,
  series: { modality: "CT" },
};
const presets = [{ name: "Lung", center: -600, width: 1500, key: "5" }];

test("tables and windows of the file are offered by their explanations", () => {
  const labels = offers(info, Int16Array.of(0, 1), presets).map((offer) => offer.label);
  assert.deepEqual(labels, ["As the file says", "SKIN", "BRAIN", "Window 2 of the file", "Automatic", "Lung (5)"]);
});

test("presets in Hounsfield units are not offered for anything else", () => {
  const magnetic = { ...info, series: { modality: "MR" } };
  assert.ok(!offers(magnetic, Int16Array.of(0), presets).some((offer) => offer.id === "Lung"));
});

test("the automatic window spans the values without the rarest and without padding", () => {
  const pixels = Int16Array.from({ length: 1000 }, (_, at) => (at < 500 ? 1000 : 1100));
  pixels[0] = 30000;
  assert.deepEqual(autoWindow(info, pixels), { kind: "window", center: 50.5, width: 101, function: "LINEAR" });
  pixels.fill(-2000, 0, 100);
  const padded = autoWindow({ ...info, pixel_padding: [-2000, -2000] }, pixels);
  assert.equal(padded.center, 50.5);
});
