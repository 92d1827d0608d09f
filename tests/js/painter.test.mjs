// What is painted is painted once; what is forgotten takes no memory.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Painter } from "../../web/static/js/painter.js";

const real = { document: globalThis.document, ImageData: globalThis.ImageData };
let painted = 0;
before(() => {
  const canvas = () => ({ width: 300, height: 150, getContext: () => ({ putImageData: () => (painted += 1) }) });
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
