// Key images of every open study: nothing is hidden of a study that has not told which they are.
import assert from "node:assert/strict";
import { after, test, mock } from "node:test";

import { KeyFilter } from "../../web/static/js/key_filter.js";
import { KeyImages } from "../../web/static/js/key_images.js";

mock.timers.enable({ apis: ["setTimeout"] }); // no limit of time is waited for
const real = { fetch: globalThis.fetch };
after(() => Object.assign(globalThis, real));

const study = (uid) => ({ uid, facts: { number_of_study_related_instances: 2 }, series: [] });
const slice = (studyUid, sop) => ({ study_instance_uid: studyUid, sop_instance_uid: sop, key: `${sop}#1` });

/** What key images need of a viewer with a study and another one beside it that was never active. */
function keyImages() {
  const [here, beside] = [study("1"), study("2")];
  const viewer = { active: { study: here }, study: here, studies: new Map([["1", here], ["2", beside]]) };
  const marks = { viewer, lists: new Map(["1", "2"].map((uid) => [uid, { isTold: true, marks: new Map() }])) };
  return Object.assign(Object.create(KeyImages.prototype), { marks, notesOf: new Map(), asked: new Map(), named: new Set(), marked: new Set(), show: KeyImages.prototype.gather });
}

test("every open study is asked for its notes, once while it stays as it is", async () => {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    const [, uid] = /studies\/(\d)/.exec(url);
    return Response.json({ key_objects: [{ references: [{ sop_instance_uid: `${uid}.7`, frame_numbers: [] }] }] });
  };
  const found = keyImages();
  await found.refresh();
  await found.refresh();
  assert.deepEqual(asked, ["1", "2"].map((uid) => `/api/v1/studies/${uid}/presentation-states`));
  assert.deepEqual([slice("2", "2.7"), slice("2", "2.8")].map((one) => found.isLetThrough(one)), [true, false]);
});

test("of a study that did not answer every image is shown, and the tile says so", async () => {
  globalThis.fetch = async (url) => {
    if (url.includes("studies/2/")) throw new TypeError("the line broke");
    return Response.json({ key_objects: [] });
  };
  const found = keyImages();
  await found.refresh();
  assert.deepEqual([slice("1", "1.7"), slice("2", "2.7")].map((one) => found.isLetThrough(one)), [false, true]);
  const words = (uid) => KeyFilter.prototype.words.call({ keyImages: found }, { study: { uid }, slices: [slice(uid, "7")], slice: null });
  assert.match(words("1"), /1 hidden/);
  assert.match(words("2"), /all are shown/);
});
