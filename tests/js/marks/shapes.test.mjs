// Where marks and their labels lie on the screen.
import assert from "node:assert/strict";
import { test } from "node:test";

import { boxAround, distanceTo, handleAt, labelPlace, linesOn } from "../../../web/static/js/mark_shapes.js";

const room = { width: 800, height: 600 };
const label = { width: 120, height: 40 };
const overlaps = (one, other) => one.left < other.left + other.width && other.left < one.left + one.width && one.top < other.top + other.height && other.top < one.top + one.height;
const number = (() => {
  let state = 7;
  return (most) => ((state = (state * 48271) % 2147483647) / 2147483647) * most;
})();

test("a label lies in the tile and not over its own mark while there is room", () => {
  for (let n = 0; n < 500; n += 1) {
    const x = 150 + number(300);
    const y = 100 + number(300);
    const points = [{ x, y }, { x: x + number(150), y: y + number(100) }];
    const around = boxAround("length", points);
    const place = labelPlace(around, label, room, []);
    assert.ok(!overlaps(place, around));
    assert.ok(place.left >= 0 && place.top >= 0 && place.left + label.width <= room.width && place.top + label.height <= room.height);
  }
});

test("a label gives way to other marks", () => {
  const points = [{ x: 200, y: 300 }, { x: 300, y: 300 }];
  const around = boxAround("length", points);
  const usual = labelPlace(around, label, room, []);
  const other = labelPlace(around, label, room, [usual]);
  assert.ok(!overlaps(usual, other));
});

test("without any room a label still lies in the tile", () => {
  const around = boxAround("rectangle", [{ x: -50, y: -50 }, { x: 900, y: 700 }]);
  const place = labelPlace(around, label, room, []);
  assert.ok(place.left >= 0 && place.left + label.width <= room.width);
  assert.ok(place.top >= 0 && place.top + label.height <= room.height);
});

test("what is near a line is found, what is inside a shape is not", () => {
  const box = [{ x: 100, y: 100 }, { x: 300, y: 200 }];
  assert.equal(distanceTo("length", [{ x: 0, y: 0 }, { x: 100, y: 0 }], { x: 50, y: 7 }), 7);
  assert.equal(distanceTo("length", [{ x: 0, y: 0 }, { x: 100, y: 0 }], { x: 103, y: 4 }), 5);
  assert.equal(distanceTo("rectangle", box, { x: 200, y: 110 }), 10);
  assert.ok(distanceTo("ellipse", box, { x: 300, y: 150 }) < 1);
  assert.ok(distanceTo("ellipse", box, { x: 200, y: 150 }) > 45);
  assert.equal(distanceTo("angle", [], { x: 0, y: 0 }), Infinity);
});

test("the nearest point within reach is taken", () => {
  const points = [{ x: 0, y: 0 }, { x: 20, y: 0 }];
  assert.equal(handleAt(points, { x: 12, y: 0 }, 22), 1);
  assert.equal(handleAt(points, { x: 60, y: 0 }, 22), -1);
});

test("a mark that is not all set is drawn as far as it goes", () => {
  const points = [{ x: 1, y: 1 }, { x: 9, y: 9 }, { x: 20, y: 3 }];
  assert.deepEqual(linesOn("length", points.slice(0, 1)), []);
  assert.deepEqual(linesOn("cobb", points), [points.slice(0, 2)]);
  assert.deepEqual(linesOn("angle", points.slice(0, 2)), [points.slice(0, 2)]);
  assert.equal(linesOn("probe", points.slice(0, 1)).length, 4);
});
