// Where an image lies: both ways, turned, mirrored, with pixels that are not square; and what is seen of it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { aboutPoint, inImage, onCanvas, placed, plainView, turnedLetters, visiblePart } from "../../web/static/js/placement.js";
import { reduced, stepFor } from "../../web/static/js/reduce.js";
import { seriesNumbered, spoken } from "../../web/static/js/jump_box.js";
import { LineSpeed } from "../../web/static/js/line_speed.js";

const info = { rows: 40, columns: 60, pixel_spacing: null, pixel_aspect_ratio: [2, 1] };
const canvas = { width: 500, height: 300 };
const round = ({ x, y }) => [Math.round(x * 1e6) / 1e6 + 0, Math.round(y * 1e6) / 1e6 + 0];

test("a place on the canvas and a place in the image are one, however it is turned", () => {
  for (const turns of [0, 1, 2, 3]) {
    for (const isFlipped of [false, true]) {
      const { matrix } = placed(info, { ...plainView(), turns, isFlipped, zoom: 2.5, pan: { x: 7, y: -3 } }, canvas);
      const point = { x: 12.25, y: 31.5 };
      assert.deepEqual(round(inImage(matrix, onCanvas(matrix, point))), [12.25, 31.5]);
    }
  }
});

test("an image fits, in its right shape and in the middle", () => {
  const { left, top, width, height, scale } = placed(info, plainView(), canvas);
  assert.deepEqual([left, top, width, height], [138, 0, 225, 300]);
  assert.equal(scale, 300 / 80);
  const turned = placed(info, { ...plainView(), turns: 1 }, canvas);
  assert.deepEqual([turned.width, turned.height], [400, 300]);
});

test("at one to one every pixel has one of the canvas", () => {
  const square = { ...info, pixel_aspect_ratio: [1, 1] };
  const { matrix } = placed(square, { ...plainView(), zoom: 1 }, canvas);
  assert.deepEqual(matrix, [1, 0, 0, 1, 220, 130]);
});

test("a quarter turn to the right brings the upper left corner to the upper right", () => {
  const { matrix, left, top, width } = placed(info, { ...plainView(), turns: 1 }, canvas);
  assert.deepEqual(round(onCanvas(matrix, { x: 0, y: 0 })), [left + width, top]);
  const mirrored = placed(info, { ...plainView(), isFlipped: true }, canvas);
  assert.deepEqual(round(onCanvas(mirrored.matrix, { x: 0, y: 0 })), [mirrored.left + mirrored.width, mirrored.top]);
});

test("the letters at the edges turn with the image", () => {
  const letters = { left: "R", top: "A", right: "L", bottom: "P" };
  assert.deepEqual(turnedLetters(letters, { ...plainView(), turns: 1 }), { top: "R", right: "A", bottom: "L", left: "P" });
  assert.deepEqual(turnedLetters(letters, { ...plainView(), isFlipped: true }), { left: "L", top: "A", right: "R", bottom: "P" });
  assert.deepEqual(turnedLetters(letters, { ...plainView(), isFlipped: true, turns: 2 }), { left: "R", top: "P", right: "L", bottom: "A" });
  assert.deepEqual(turnedLetters(null, plainView()), { left: "", top: "", right: "", bottom: "" });
});

test("letters and corners turn the same way", () => {
  const letters = { left: "R", top: "A", right: "L", bottom: "P" };
  const middles = { left: { x: 0, y: 20 }, top: { x: 30, y: 0 }, right: { x: 60, y: 20 }, bottom: { x: 30, y: 40 } };
  for (const turns of [0, 1, 2, 3]) {
    for (const isFlipped of [false, true]) {
      const view = { ...plainView(), turns, isFlipped };
      const place = placed(info, view, canvas);
      const shown = turnedLetters(letters, view);
      for (const [edge, middle] of Object.entries(middles)) {
        const { x, y } = onCanvas(place.matrix, middle);
        const near = { left: x - place.left, top: y - place.top, right: place.left + place.width - x, bottom: place.top + place.height - y };
        const at = Object.keys(near).sort((a, b) => near[a] - near[b])[0];
        assert.equal(shown[at], letters[edge]);
      }
    }
  }
});

test("what is seen of an image is known to the pixel", () => {
  const square = { ...info, pixel_aspect_ratio: [1, 1] };
  const { matrix } = placed(square, { ...plainView(), zoom: 20, pan: { x: 0, y: 0 } }, canvas);
  assert.deepEqual(visiblePart(matrix, square, canvas), { x: 17, y: 12, width: 26, height: 16 });
});

test("while it moves, blocks of pixels are one: their mean, or one of them where a mean means nothing", () => {
  const pixels = Uint16Array.from({ length: 24 }, (_, n) => n);
  const frame = { rows: 4, columns: 6, kind: "grey", pixels: { dtype: "uint16" }, pixel_padding: null, shutter: null };
  const mean = reduced(pixels, frame, { x: 0, y: 0, width: 6, height: 4 }, 2);
  assert.deepEqual([...mean.pixels], [4, 6, 8, 16, 18, 20].map((n) => n - 0 - (n % 1)));
  const odd = reduced(pixels, frame, { x: 1, y: 1, width: 5, height: 3 }, 2);
  assert.deepEqual([odd.info.columns, odd.info.rows], [3, 2]);
  assert.deepEqual(odd.part, { x: 1, y: 1, width: 6, height: 4 });
  const padded = reduced(pixels, { ...frame, pixel_padding: [0, 1] }, { x: 0, y: 0, width: 6, height: 4 }, 2);
  assert.deepEqual([...padded.pixels], [7, 6, 8, 16, 18, 20]);
  const empty = reduced(pixels, { ...frame, pixel_padding: [0, 7] }, { x: 0, y: 0, width: 6, height: 4 }, 2);
  assert.equal(empty.pixels[0], 0, "padding is what is nothing else");
  const palette = reduced(pixels, { ...frame, supplemental_palette: {} }, { x: 0, y: 0, width: 6, height: 4 }, 2);
  assert.deepEqual([...palette.pixels], [7, 9, 11, 19, 21, 23]);
  const colour = reduced(Uint8Array.from({ length: 12 }, (_, n) => n), { ...frame, rows: 2, columns: 2, kind: "colour" }, { x: 0, y: 0, width: 2, height: 2 }, 2);
  assert.deepEqual([...colour.pixels], [9, 10, 11]);
});

test("a shutter stays where it is while blocks are one", () => {
  const shutter = { rectangle: { left: 3, right: 4, upper: 3, lower: 4 }, circle: null, polygon: [], grey: 0, aspect: 1 };
  const frame = { rows: 8, columns: 8, kind: "grey", pixels: { dtype: "uint8" }, pixel_padding: null, shutter };
  const { info: small } = reduced(new Uint8Array(64), frame, { x: 0, y: 0, width: 8, height: 8 }, 2);
  const { left, right } = small.shutter.rectangle;
  assert.ok(left <= 2 && right >= 2 && left > 1 && right < 3, "columns 3 and 4 became column 2");
});

test("as many pixels become one as the scale allows", () => {
  assert.deepEqual([2, 1, 0.6, 0.5, 0.34, 0.25].map(stepFor), [1, 1, 1, 2, 2, 4]);
});

test("what is said aloud is understood", () => {
  assert.deepEqual(spoken("3/40"), { series: 3, image: 40 });
  assert.deepEqual(spoken(" 3 40 "), { series: 3, image: 40 });
  assert.deepEqual(spoken("40"), { series: null, image: 40 });
  assert.deepEqual(spoken("3/"), { series: 3, image: null });
  for (const text of ["", "/", "a/3", "3/4/5", "-3"]) assert.equal(spoken(text), null);
  assert.equal(seriesNumbered([{ series_number: null }, { series_number: 3 }], 3), 1);
});

test("large frames are loaded by themselves only over a line known to be fast", () => {
  const large = { rows: 3000, columns: 2500, kind: "grey", pixels: { dtype: "uint16" } };
  const usual = { ...large, rows: 512, columns: 512 };
  const line = new LineSpeed();
  assert.ok(line.isSoonHere(usual) && !line.isSoonHere(large));
  line.note(1e6, 20);
  assert.ok(line.isSoonHere(large));
  assert.equal(line.ahead().frames, 12);
  const slow = new LineSpeed();
  slow.note(100000, 400);
  assert.ok(slow.isSoonHere(usual) && !slow.isSoonHere(large));
  assert.ok(slow.ahead().previews > slow.ahead().frames);
  assert.ok(slow.atOnce() < line.atOnce());
  assert.deepEqual(new LineSpeed({ saveData: true }).ahead(), { frames: 0, previews: 2 });
});

test("a picture that grows about a point leaves that point where it is", () => {
  const [zoom, pan, still] = [1.5, { x: 7, y: -3 }, { x: 120, y: -40 }];
  const there = { x: canvas.width / 2 + still.x, y: canvas.height / 2 + still.y };
  const square = { ...info, pixel_aspect_ratio: [1, 1] };
  const before = inImage(placed(square, { ...plainView(), zoom, pan }, canvas).matrix, there);
  for (const grown of [0.5, 1, 3.25]) {
    const view = { ...plainView(), zoom: zoom * grown, pan: aboutPoint(pan, still, grown) };
    const { x, y } = onCanvas(placed(square, view, canvas).matrix, before);
    assert.ok(Math.abs(x - there.x) <= 1 && Math.abs(y - there.y) <= 1, `${x} ${y}`);
  }
});
