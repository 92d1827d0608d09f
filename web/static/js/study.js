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
    /** @type {any} the node's JSON, null before it answered */
    this.facts = null;
    /** @type {Series[]} in display order */
    this.series = [];
  }

  /** @returns {Promise<string>} the node's time of this answer */
  async refresh() {
    const found = this.told || (await (await ask(`/api/v1/studies/${this.uid}`, { signal: timeout(8000) })).json());
    this.told = null;
    this.facts = found.study;
    this.series = found.study.series;
    return found.now;
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
