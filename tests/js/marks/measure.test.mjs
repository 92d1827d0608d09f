// Measured values equal those computed by numpy; the cases come from tests/js/test_measure.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { statisticsOf } from "../../../web/static/js/area_statistics.js";
import { angleOf, areaOf, cobbOf, lengthOf, probeOf, regionAt, scaleOf, valueUnit } from "../../../web/static/js/measure.js";
import { typedPixels } from "../../../web/static/js/windowing.js";

const vectors = JSON.parse(readFileSync(process.env.LIFEBOAT_MEASUREMENTS, "utf8"));
const near = (found, expected, what) => {
  const allowed = 1e-9 * Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(found - expected) <= allowed, `${what}: ${found} instead of ${expected}`);
};
const nearOrNone = (found, expected, what) => (expected === null ? assert.equal(found, null, what) : near(found, expected, what));

test("a length is in mm by rows and columns, in pixels without a spacing", () => {
  for (const { info, a, b, length, unit } of vectors.lengths) {
    const found = lengthOf(info, a, b);
    near(found.length, length, "length");
    assert.equal(found.scale.unitX, unit);
  }
});

test("an angle takes the shape of pixels into account", () => {
  for (const { info, points, angle, cobb } of vectors.angles) {
    nearOrNone(angleOf(info, points[0], points[1], points[2]), angle, "angle");
    nearOrNone(cobbOf(info, points), cobb, "Cobb");
  }
});

test("ultrasound is measured by its regions as on the node", () => {
  for (const { info, a, b, region, expected } of vectors.regions) {
    assert.equal(regionAt(info.regions, a), region === null ? null : info.regions[region]);
    const found = lengthOf(info, a, b);
    assert.equal(found.scale.kind, expected.kind);
    assert.equal(found.scale.reason, expected.reason);
    near(found.length, expected.length, expected.kind);
    near(found.differenceX, expected.difference_x, "x");
    near(found.differenceY, expected.difference_y, "y");
    assert.deepEqual([found.scale.unitX, found.scale.unitY], [expected.unit_x, expected.unit_y]);
    assert.equal(found.valuesY.length, expected.values_y.length);
    found.valuesY.forEach((value, at) => near(value, expected.values_y[at], "velocity"));
  }
});

test("areas have the mean, deviation and extremes of numpy", () => {
  let counted = 0;
  for (const one of vectors.statistics) {
    const bytes = Uint8Array.from(Buffer.from(one.pixels, "base64"));
    const frame = { info: one.info, pixels: typedPixels(bytes.buffer, one.info.pixels.dtype) };
    const found = statisticsOf(frame, one.kind, one.a, one.b);
    assert.equal(found.count, one.count);
    assert.equal(found.padding, one.padding);
    assert.equal(found.channels.length, one.channels.length);
    one.channels.forEach((channel, at) => {
      for (const name of ["mean", "sd", "min", "max"]) near(found.channels[at][name], channel[name], name);
    });
    near(areaOf(one.info, one.kind, one.a, one.b).area, one.area, "area");
    for (const { at, values } of one.probes) {
      const probed = probeOf(frame, at);
      if (values === null) assert.equal(probed, null);
      else values.forEach((value, index) => near(probed.values[index], value, "probe"));
    }
    counted += one.count;
  }
  assert.ok(counted > 10_000);
});

test("turning an area about does not change what is in it", () => {
  for (const one of vectors.statistics.slice(0, 40)) {
    const bytes = Uint8Array.from(Buffer.from(one.pixels, "base64"));
    const frame = { info: one.info, pixels: typedPixels(bytes.buffer, one.info.pixels.dtype) };
    const found = statisticsOf(frame, one.kind, one.a, one.b);
    assert.deepEqual(statisticsOf(frame, one.kind, one.b, one.a), found);
    assert.deepEqual(statisticsOf(frame, one.kind, { x: one.b.x, y: one.a.y }, { x: one.a.x, y: one.b.y }), found);
  }
});

const of = (origin, refused = "") => ({ regions: [], pixel_spacing: { row: 0.2, column: 0.2, origin, refused } });

test("every length says where its scale comes from", () => {
  const origins = ["detector", "patient", "calibrated", "estimated", "unknown"].map((origin) => scaleOf(of(origin), [{ x: 1, y: 1 }]).origin);
  assert.deepEqual(origins, ["at detector", "", "calibrated", "approx., estimated", "approx., at detector or unknown"]);
  const none = { regions: [], pixel_spacing: { row: null, column: null, origin: "none", refused: "Pixel Spacing is not a possible size of a pixel" } };
  const scale = scaleOf(none, [{ x: 1, y: 1 }]);
  assert.equal(scale.origin, "uncalibrated");
  assert.equal(scale.reason, none.pixel_spacing.refused);
});

test("there is no angle and no area in a spectrum", () => {
  const spectral = { min_x: 0, min_y: 0, max_x: 99, max_y: 99, spatial_format: "spectral", unit_x: "s", unit_y: "cm/s", delta_x: 0.01, delta_y: -1, is_low_priority: false, reference_y: 50, reference_value_y: 0 };
  const info = { ...of("none"), regions: [spectral] };
  const [a, b, c] = [{ x: 10, y: 10 }, { x: 20, y: 40 }, { x: 60, y: 20 }];
  assert.equal(angleOf(info, a, b, c), null);
  assert.equal(areaOf(info, "rectangle", a, b).unit, "px²");
  assert.match(areaOf(info, "rectangle", a, b).scale.reason, /spectrum/);
});

const CT = "1.2.840.10008.5.1.4.1.1.2";
const grey = (modality, rescale_type, sop_class_uid = CT, lut = null) => ({ kind: "grey", series: { modality }, sop_class_uid, modality: { rescale_type, lut } });

test("values are HU only where the standard says so", () => {
  assert.equal(valueUnit(grey("CT", "HU")), "HU");
  assert.equal(valueUnit(grey("CT", "")), "HU", "Rescale Type may be absent from CT images");
  assert.equal(valueUnit(grey("CT", "US")), "", "unspecified");
  assert.equal(valueUnit(grey("CT", "", "1.2.840.10008.5.1.4.1.1.7")), "", "a secondary capture");
  assert.equal(valueUnit(grey("CT", "", CT, { first: 0, values: [1] })), "", "a table without a type");
  assert.equal(valueUnit(grey("MR", "")), "");
  assert.equal(valueUnit(grey("CT", "MGML")), "mg/ml");
  assert.equal(valueUnit({ ...grey("CT", "HU"), kind: "colour" }), "");
});
