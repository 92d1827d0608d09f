// What lies over a frame is the same whether the browser or the node draws it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { closedBy, paintCoverings, paletteColours } from "../../web/static/js/coverings.js";

const cases = JSON.parse(readFileSync(process.env.LIFEBOAT_COVERINGS, "utf8"));

test("a shutter covers the very pixels that the node covers", () => {
  assert.ok(cases.shutters.length >= 50);
  for (const { shutter, rows, columns, closed } of cases.shutters) {
    const covered = new Uint8Array(rows * columns);
    const runs = closedBy(shutter, rows, columns);
    for (let n = 0; n < runs.length; n += 2) covered.fill(1, runs[n], runs[n + 1]);
    const expected = new Uint8Array(Buffer.from(closed, "base64"));
    assert.deepEqual(covered, expected, JSON.stringify({ shutter, rows, columns }));
  }
});

test("a palette colours the very pixels that the node colours, below the shutter", () => {
  const { info, stored, rgb } = cases.palette;
  const rgba = new Uint32Array(stored.length).fill(0xff0a0a0a);
  paintCoverings(stored, info, rgba);
  const bytes = new Uint8Array(rgba.buffer);
  const found = stored.map((_, n) => [...bytes.slice(4 * n, 4 * n + 3)]);
  assert.deepEqual(found, rgb);
});

test("colours are read in the order red, green, blue", () => {
  assert.deepEqual([...paletteColours("ff000000ff00")], [0xff0000ff, 0xff00ff00]);
});

test("a frame with nothing over it is left as it is", () => {
  const rgba = Uint32Array.of(1, 2, 3);
  paintCoverings([1, 2, 3], { supplemental_palette: null, shutter: null }, rgba);
  assert.deepEqual([...rgba], [1, 2, 3]);
});
