import assert from "node:assert/strict";
import { test } from "node:test";

import { counted, dicomDate, elapsed, received, short, sinceDays } from "../../web/static/js/text.js";

test("times are told in their largest unit", () => {
  assert.deepEqual([-3, 0, 59, 119, 120, 3600, 7300, 90000, 200000].map(elapsed), ["0 s", "0 s", "59 s", "119 s", "2 min", "1 h", "2 h", "1 d", "2 d"]);
});

test("a quiet study is never called complete", () => {
  assert.deepEqual(received(4, 60), { state: "receiving", words: "Receiving · last 4 s ago" });
  assert.deepEqual(received(60, 60), { state: "quiet", words: "No new images for 60 s" });
});

test("nouns follow their number", () => {
  assert.deepEqual([counted(1, "study"), counted(2, "study"), counted(1, "series"), counted(0, "image")], ["1 study", "2 studies", "1 series", "0 images"]);
});

test("dates are written as DICOM does", () => {
  const day = new Date(2026, 0, 2);
  assert.equal(dicomDate(day), "20260102");
  assert.equal(sinceDays(1, day), "20260102-");
  assert.equal(sinceDays(7, day), "20251227-");
});

test("numbers are short", () => {
  assert.deepEqual([40, 39.5, 1 / 3].map(short), ["40", "39.5", "0.33"]);
});
