// What is painted is painted once; what is forgotten takes no memory.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { paintCoverings } from "../../web/static/js/coverings.js";
import { Painter } from "../../web/static/js/painter.js";
import { greyPainter } from "../../web/static/js/windowing.js";

const real = { document: globalThis.document, ImageData: globalThis.ImageData };
let painted = 0;
let put = (..._) => {};
before(() => {
  const putImageData = (...all) => {
    painted += 1;
    put(...all);
  };
  const canvas = () => ({ width: 300, height: 150, getContext: () => ({ putImageData }) });
  globalThis.document = /** @type {any} */ ({ createElement: canvas });
  globalThis.ImageData = /** @type {any} */ (
    class {
      constructor(width, height) {
        Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
      }
    }
  );
});
after(() => Object.assign(globalThis, real));

const info = { kind: "colour", rows: 2, columns: 3, pixels: { dtype: "uint8" }, pixel_padding: null, shutter: null, overlays: [] };
const frame = /** @type {any} */ ({ info, pixels: new Uint8Array(18).fill(7) });

test("a sheet that is forgotten keeps no pixel, and is painted anew when it is wanted again", () => {
  const painter = new Painter();
  const { source } = painter.exact(frame, null, false);
  assert.deepEqual([source.width, source.height], [3, 2]);
  painter.exact(frame, null, false);
  assert.equal(painted, 1);
  painter.forget();
  assert.deepEqual([source.width, source.height, painter.whole.image], [0, 0, null]);
  painter.exact(frame, null, false);
  assert.deepEqual([source.width, source.height, painted], [3, 2, 2]);
});

test("a large frame is painted in bands, and is what it would be in one", () => {
  const [rows, columns] = [2500, 1021];
  const shutter = { rectangle: { left: 30, right: 900, upper: 1000, lower: 2490 }, circle: null, polygon: [], grey: 9, aspect: 1 };
  const grey = { modality: { slope: 1, intercept: 0 }, voi_luts: [], windows: [], invert: false, series: { modality: "DX" } };
  const info = /** @type {any} */ ({ ...grey, kind: "grey", rows, columns, pixels: { dtype: "uint16", min: 0, max: 4095 }, pixel_padding: null, shutter });
  const pixels = Uint16Array.from({ length: rows * columns }, (_, at) => (at * 7) % 4096);
  const voi = /** @type {any} */ ({ kind: "window", center: 2000, width: 3000, function: "LINEAR" });
  const whole = new Uint32Array(pixels.length);
  greyPainter(info, voi, false)(pixels, whole);
  paintCoverings(pixels, info, whole);
  const drawn = new Uint32Array(pixels.length);
  let largest = 0;
  put = (image, left, top, x, y, width, height) => {
    assert.deepEqual([left, x, y, width], [0, 0, 0, columns]);
    largest = Math.max(largest, image.height);
    drawn.set(new Uint32Array(image.data.buffer, 0, width * height), top * columns);
  };
  new Painter().exact(/** @type {any} */ ({ info, pixels }), voi, false);
  put = () => {};
  assert.ok(largest < rows / 2);
  assert.deepEqual(Buffer.compare(Buffer.from(drawn.buffer), Buffer.from(whole.buffer)), 0);
});
