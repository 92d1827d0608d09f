// The list of marks against a node that is away, slow, or of another opinion.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { MarkList, CANNOT_UNDO, NOT_SAVED } from "../../../web/static/js/mark_list.js";

const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

/** A node that keeps marks as the real one does. */
function node() {
  const kept = new Map();
  const state = { kept, revision: 0, isAway: false, losesAnswer: false, posts: 0 };
  const conflict = () => Response.json({ error: { code: "changed-meanwhile", message: "Changed in another window." } }, { status: 409 });
  const post = (url, body) => {
    state.posts += 1;
    if ((kept.get(body.mark_id)?.revision || 0) !== body.revision) return conflict();
    state.revision += 1;
    if (url.endsWith("/delete")) kept.delete(body.mark_id);
    else kept.set(body.mark_id, { ...body, revision: state.revision, changed_at: "now" });
    return Response.json({ mark: kept.get(body.mark_id), revision: state.revision });
  };
  globalThis.fetch = async (url, { method = "GET", body } = {}) => {
    await null;
    if (state.isAway) throw new TypeError("no route");
    const answer = method === "POST" ? post(url, JSON.parse(body)) : Response.json({ marks: [...kept.values()], revision: state.revision });
    if (state.losesAnswer && method === "POST") throw new TypeError("lost");
    return answer;
  };
  return state;
}

const mark = (id, text = "") => ({ mark_id: id, series_instance_uid: "1.2", sop_instance_uid: "1.2.3", frame_number: 1, digest: "abc", kind: "length", points: [[0, 0], [1, 1]], text });
const set = (list, id, text) => list.change([{ before: undefined, after: mark(id, text) }]);
const ids = (list) => [...list.marks.keys()];

test("what is set is told to the node, and undone there too", async () => {
  const { kept } = node();
  const list = new MarkList("1", () => {});
  await set(list, "a");
  assert.deepEqual([...kept.keys()], ["a"]);
  await list.undo();
  assert.equal(kept.size, 0);
  await list.redo();
  assert.deepEqual([...kept.keys()], ["a"]);
  assert.equal(list.trouble, "");
});

test("what is set while the node is away is told when it is back", async () => {
  const state = node();
  const list = new MarkList("1", () => {});
  state.isAway = true;
  await set(list, "a");
  await set(list, "b");
  await list.change([{ before: mark("a"), after: mark("a", "later") }]);
  assert.deepEqual(ids(list), ["a", "b"]);
  assert.equal(list.trouble, NOT_SAVED);
  state.isAway = false;
  await list.refresh();
  assert.deepEqual([...state.kept.values()].map(({ mark_id, text }) => [mark_id, text]), [["a", "later"], ["b", ""]]);
  assert.equal(list.trouble, "");
});

test("an answer that was lost is no conflict", async () => {
  const state = node();
  const list = new MarkList("1", () => {});
  state.losesAnswer = true;
  await set(list, "a");
  assert.equal(list.trouble, NOT_SAVED);
  state.losesAnswer = false;
  await list.refresh();
  assert.deepEqual(ids(list), ["a"]);
  assert.equal(list.trouble, "");
  assert.equal(state.kept.get("a").revision, 1);
});

test("of two windows the first one counts and the second is told", async () => {
  const state = node();
  const [one, other] = [new MarkList("1", () => {}), new MarkList("1", () => {})];
  await set(one, "a");
  await other.refresh();
  await one.change([{ before: mark("a"), after: mark("a", "first") }]);
  await other.change([{ before: mark("a"), after: mark("a", "second") }]);
  assert.equal(state.kept.get("a").text, "first");
  assert.equal(other.marks.get("a").text, "first");
  assert.match(other.trouble, /another window/);
  await other.undo();
  assert.equal(other.trouble, CANNOT_UNDO);
  assert.equal(state.kept.get("a").text, "first");
});

test("a mark that was deleted elsewhere goes away here, unless it was changed here", async () => {
  node();
  const [one, other] = [new MarkList("1", () => {}), new MarkList("1", () => {})];
  await set(one, "a");
  await other.refresh();
  await one.undo();
  await other.refresh();
  assert.deepEqual(ids(other), []);
});

test("what the node keeps comes back as the same object where nothing changed", async () => {
  node();
  const list = new MarkList("1", () => {});
  await set(list, "a");
  const before = list.marks.get("a");
  await list.refresh();
  assert.equal(list.marks.get("a"), before);
});

test("marks changed many times at once end as they are here", async () => {
  const { kept } = node();
  const list = new MarkList("1", () => {});
  const all = [set(list, "a")];
  for (let n = 0; n < 20; n += 1) all.push(list.change([{ before: list.marks.get("a"), after: mark("a", String(n)) }]));
  await Promise.all(all);
  assert.equal(kept.get("a").text, "19");
  assert.equal(list.trouble, "");
});

test("it knows which marks were set in this page", async () => {
  const { kept } = node();
  kept.set("theirs", { ...mark("theirs"), revision: 1 });
  const list = new MarkList("1", () => {});
  await list.refresh();
  await set(list, "mine");
  await list.change([{ before: list.marks.get("theirs"), after: mark("theirs", "read") }]);
  assert.deepEqual([...list.mine], ["mine"]);
});
