// Values that the node packed or reduced are those that this side unpacks or would have reduced.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { unpacked } from "../../web/static/js/packing.js";
import { reduced } from "../../web/static/js/reduce.js";
import { typedPixels } from "../../web/static/js/windowing.js";

const cases = JSON.parse(readFileSync(process.env.LIFEBOAT_PACKINGS, "utf8"));
const bytesOf = (text) => Uint8Array.from(Buffer.from(text, "base64")).buffer;

test("every value comes back as it was stored", () => {
  for (const { packed, stored, columns, dtype } of cases) {
    assert.deepEqual(typedPixels(unpacked(bytesOf(packed), columns), dtype), typedPixels(bytesOf(stored), dtype));
  }
});

test("the node makes blocks of pixels one as this side does", () => {
  for (const { stored, rows, columns, dtype, step, means, picks, padding, unpadded } of cases) {
    const part = { x: 0, y: 0, width: columns, height: rows };
    const info = { kind: "grey", rows, columns, pixels: { dtype }, pixel_padding: null };
    const pixels = typedPixels(bytesOf(stored), dtype);
    assert.deepEqual([...reduced(pixels, info, part, step).pixels], means);
    assert.deepEqual([...reduced(pixels, { ...info, supplemental_palette: {} }, part, step).pixels], picks);
    assert.deepEqual([...reduced(pixels, { ...info, pixel_padding: padding }, part, step).pixels], unpadded);
  }
});
