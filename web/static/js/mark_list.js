/**
 * The marks of a study: as seen here, as the node has them, and what can be undone. What is set
 * while the node is away stays here and is sent when it is back.
 */

import { isSame } from "./mark_kinds.js";
import { ask, Refused, timeout } from "./page.js";

/** @typedef {import("./mark_kinds.js").Mark} Mark */
/** @typedef {{before: Mark | undefined, after: Mark | undefined}} Change of one mark; undefined is "not there" */

const MOST_STEPS = 200;
export const NOT_SAVED = "Not saved yet: the node does not answer. It is tried again.";
export const CANNOT_UNDO = "This cannot be undone: the mark was changed in another window.";

export class MarkList {
  /**
   * @param {string} studyUid
   * @param {() => void} onChange called when marks, or what is said about them, have changed
   */
  constructor(studyUid, onChange) {
    this.address = `/api/v1/studies/${studyUid}/marks`;
    this.onChange = onChange;
    /** @type {Map<string, Mark>} as seen here */
    this.marks = new Map();
    /** @type {Map<string, Mark & {revision: number}>} as the node has them */
    this.stored = new Map();
    /** @type {Set<string>} marks the node does not yet have as they are here */
    this.due = new Set();
    /** @type {Set<string>} marks that were set in this page */
    this.mine = new Set();
    /** @type {Change[][]} */
    this.done = [];
    /** @type {Change[][]} */
    this.undone = [];
    this.tag = "";
    /** Whether the node has told what it has. */
    this.isTold = false;
    /** What people must know, in words; "" when there is nothing. */
    this.trouble = "";
    /** @type {Promise<void>} one conversation with the node at a time */
    this.line = Promise.resolve();
  }

  /**
   * @param {string} key of a frame
   * @returns {Mark[]}
   */
  onFrame(key) {
    return [...this.marks.values()].filter((mark) => `${mark.sop_instance_uid}#${mark.frame_number}` === key);
  }

  /**
   * Do something that can be undone in one go.
   * @param {Change[]} step
   * @returns {Promise<void>} when the node has it, or is away
   */
  change(step) {
    this.done = [...this.done.slice(1 - MOST_STEPS), step];
    this.undone = [];
    this.trouble = "";
    for (const { before, after } of step) if (!before && after) this.mine.add(after.mark_id);
    return this.apply(step);
  }

  /** @returns {Promise<void>} */
  undo() {
    const step = this.done.pop();
    if (!step) return Promise.resolve();
    const back = step.map(({ before, after }) => ({ before: after, after: before }));
    if (this.mayApply(back)) this.undone.push(step);
    return this.applyIfStill(back);
  }

  /** @returns {Promise<void>} */
  redo() {
    const step = this.undone.pop();
    if (!step) return Promise.resolve();
    if (this.mayApply(step)) this.done.push(step);
    return this.applyIfStill(step);
  }

  /**
   * @param {Change[]} step
   * @returns {boolean} whether each mark still is what it was then
   */
  mayApply(step) {
    return step.every(({ before, after }) => isSame(this.marks.get(idOf({ before, after })), before));
  }

  /**
   * @param {Change[]} step
   * @returns {Promise<void>}
   */
  applyIfStill(step) {
    this.trouble = this.mayApply(step) ? "" : CANNOT_UNDO;
    if (!this.trouble) return this.apply(step);
    this.onChange();
    return Promise.resolve();
  }

  /**
   * @param {Change[]} step
   * @returns {Promise<void>}
   */
  apply(step) {
    for (const change of step) {
      const id = idOf(change);
      if (change.after) this.marks.set(id, change.after);
      else this.marks.delete(id);
      this.due.add(id);
    }
    this.onChange();
    return this.inLine(() => this.sendAll());
  }

  /**
   * Bring the list to what the node has, and the node to what was set here.
   * @returns {Promise<void>}
   */
  refresh() {
    return this.inLine(async () => {
      await this.sendAll();
      await this.fetch();
    });
  }

  /**
   * @param {() => Promise<void>} task
   * @returns {Promise<void>}
   */
  inLine(task) {
    this.line = this.line.then(task).catch(() => this.say(this.due.size ? NOT_SAVED : this.trouble));
    return this.line;
  }

  async sendAll() {
    while (this.due.size) await this.send(/** @type {string} */ (this.due.values().next().value));
    if (this.trouble === NOT_SAVED) this.say("");
  }

  /** @param {string} id */
  async send(id) {
    const mark = this.marks.get(id);
    try {
      await this.tell(id, mark);
      if (this.marks.get(id) === mark) this.due.delete(id);
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500) throw error;
      await this.giveUp(id, error);
    }
  }

  /**
   * @param {string} id
   * @param {Mark | undefined} mark
   */
  async tell(id, mark) {
    const stored = this.stored.get(id);
    const revision = stored ? stored.revision : 0;
    if (isSame(mark, stored)) return;
    if (mark) {
      const { mark_id, series_instance_uid, sop_instance_uid, frame_number, digest, kind, points, text } = mark;
      const answer = await post(this.address, { mark_id, revision, series_instance_uid, sop_instance_uid, frame_number, digest, kind, points, text });
      this.stored.set(id, (await answer.json()).mark);
    } else {
      await post(`${this.address}/delete`, { mark_id: id, revision });
      this.stored.delete(id);
    }
  }

  /**
   * The node said no: what it has counts.
   * @param {string} id
   * @param {Refused} error
   */
  async giveUp(id, error) {
    const wanted = this.marks.get(id);
    this.due.delete(id);
    this.tag = "";
    await this.fetch();
    // an answer that was lost on its way is no disagreement
    if (!isSame(wanted, this.marks.get(id))) this.say(error.message);
  }

  async fetch() {
    const headers = this.tag ? { "If-None-Match": this.tag } : undefined;
    const answer = await ask(this.address, { headers, signal: timeout(8000) });
    if (answer.status === 304) return;
    const found = await answer.json();
    this.tag = answer.headers.get("ETag") || "";
    this.isTold = true;
    this.stored = new Map(found.marks.map((/** @type {any} */ mark) => [mark.mark_id, mark]));
    const mine = [...this.due].map((id) => /** @type {[string, Mark | undefined]} */ ([id, this.marks.get(id)]));
    this.marks = new Map([...this.stored].map(([id, mark]) => [id, this.known(id, mark)]));
    for (const [id, mark] of mine) if (mark) this.marks.set(id, mark);
      else this.marks.delete(id);
    this.onChange();
  }

  /**
   * Keep the very object where nothing changed, so that what was worked out for it stays.
   * @param {string} id
   * @param {Mark} found
   * @returns {Mark}
   */
  known(id, found) {
    const before = this.marks.get(id);
    return before && isSame(before, found) ? before : found;
  }

  /** @param {string} trouble */
  say(trouble) {
    if (this.trouble === trouble) return;
    this.trouble = trouble;
    this.onChange();
  }
}

/**
 * @param {Change} change
 * @returns {string}
 */
function idOf({ before, after }) {
  return /** @type {Mark} */ (before || after).mark_id;
}

/**
 * @param {string} address
 * @param {any} body
 * @returns {Promise<Response>} also when the page is left meanwhile
 */
function post(address, body) {
  return ask(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true, signal: timeout(8000) });
}
