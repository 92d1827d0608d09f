// Lines and points between frames are those the node finds; what is not in one space is never joined.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { distanceMm, localizerLine, nearestFrame, patientPoint, pixelOf } from "../../web/static/js/planes.js";
import { nearestParallel, placeOf, sliceAt } from "../../web/static/js/space.js";

const file = process.env.LIFEBOAT_PLANES;
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("lines, points and distances are the node's", { skip: !file && "run by test_js.py" }, () => {
  const cases = JSON.parse(readFileSync(file, "utf8"));
  let lines = 0;
  for (const { one, other, pixel, point, foot, distance, line } of cases) {
    patientPoint(one, { x: pixel[0], y: pixel[1] }).forEach((mm, n) => near(mm, point[n]));
    const { x, y } = pixelOf(other, point);
    near(x, foot[0]);
    near(y, foot[1]);
    near(distanceMm(other, point), distance);
    const found = localizerLine(one, other);
    assert.equal(found === null, line === null);
    if (!line) continue;
    lines += 1;
    found.forEach((end, n) => [end.x, end.y].forEach((value, m) => near(value, line[n][m])));
  }
  assert.ok(lines > 100);
});

const stack = (changes = {}) => ({
  frames: [[0, 1, 5]],
  frame_of_reference_uid: "1.2",
  normal: [0, 0, 1],
  positions_mm: [0, 3, 6, 9, 12],
  spacing_mm: 3,
  slice_thickness: 3,
  ...changes,
});
const series = (...stacks) => ({ stacks });

test("tiles are linked by position, in parallel stacks of one space only", () => {
  const place = placeOf(series(stack()), 3);
  assert.deepEqual(place, { frameOfReference: "1.2", normal: [0, 0, 1], mm: 9 });
  assert.equal(nearestParallel(series(stack({ positions_mm: [8, 10, 20, 30, 40] })), place, 0), 0);
  const downwards = stack({ normal: [0, 0, -1], positions_mm: [-12, -9, -6, -3, 0] });
  assert.equal(nearestParallel(series(downwards), place, 0), 1);
  assert.equal(nearestParallel(series(stack({ normal: [1, 0, 0] })), place, 0), -1);
  assert.equal(nearestParallel(series(stack({ frame_of_reference_uid: "1.3" })), place, 0), -1);
  const nowhere = stack({ frame_of_reference_uid: "" });
  assert.equal(placeOf(series(nowhere), 3), null);
  assert.equal(nearestParallel(series(nowhere), { ...place, frameOfReference: "" }, 0), -1);
});

test("of several stacks the one that is looked at is kept", () => {
  const echoes = series(stack(), stack());
  const place = placeOf(echoes, 3);
  assert.equal(nearestParallel(echoes, place, 1), 3);
  assert.equal(nearestParallel(echoes, place, 6), 8);
});

test("a point is found in the slice that shows it, and nowhere else", () => {
  assert.equal(sliceAt(series(stack()), "1.2", [50, 7, 6.9], 0), 2);
  assert.equal(sliceAt(series(stack()), "1.2", [50, 7, 14], 0), -1);
  assert.equal(sliceAt(series(stack()), "1.9", [50, 7, 6.9], 0), -1);
  assert.equal(nearestFrame([0, 0, 1], [], [0, 0, 0], 5), -1);
});
