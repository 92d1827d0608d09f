/** A study as the node tells of it; it may grow at any time. */

import { ask, timeout } from "./page.js";

/** @typedef {import("./stack.js").Series} Series */

export class Study {
  /**
   * @param {string} studyUid
   * @param {any} [told] the node's answer, where it came already; it serves once
   */
  constructor(studyUid, told = null) {
    this.uid = studyUid;
    this.told = told;
    /** Of what is known; an answer with the same one need not come again. */
    this.tag = "";
    /** @type {any} the node's JSON, null before it answered */
    this.facts = null;
    /** @type {Series[]} in display order */
    this.series = [];
  }

  /** @returns {Promise<string>} the node's time of this answer, "" when nothing has changed */
  async refresh() {
    const found = this.told || (await this.answer());
    this.told = null;
    if (!found) return "";
    this.tag = `"${found.tag}"`;
    this.facts = found.study;
    this.series = found.study.series;
    return found.now;
  }

  /** @returns {Promise<any>} null when it is what is known */
  async answer() {
    /** @type {Record<string, string>} */
    const headers = this.tag ? { "If-None-Match": this.tag } : {};
    const answer = await ask(`/api/v1/studies/${this.uid}`, { headers, signal: timeout(8000) });
    return answer.status === 304 ? null : answer.json();
  }

  /** @returns {number} place of the series that is shown first */
  firstToShow() {
    return this.facts.opens_at;
  }

  /**
   * @param {string | undefined} seriesUid
   * @returns {number} its place in display order, -1 when it is not there
   */
  placeOf(seriesUid) {
    return this.series.findIndex((series) => series.series_instance_uid === seriesUid);
  }
}
