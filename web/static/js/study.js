/** A study as the node tells of it; it may grow at any time. */

import { ask, timeout } from "./page.js";

/** @typedef {import("./stack.js").Series} Series */

export class Study {
  /** @param {string} studyUid */
  constructor(studyUid) {
    this.uid = studyUid;
    /** @type {any} the node's JSON, null before it answered */
    this.facts = null;
    /** @type {Series[]} in display order */
    this.series = [];
  }

  /** @returns {Promise<string>} the node's time of this answer */
  async refresh() {
    const answer = await ask(`/api/v1/studies/${this.uid}`, { signal: timeout(8000) });
    const found = await answer.json();
    this.facts = found.study;
    this.series = found.study.series;
    return found.now;
  }

  /** @returns {number} place of the first series that has pictures, 0 when none has */
  firstToShow() {
    const at = this.series.findIndex((series) => series.instances.some((/** @type {any} */ instance) => instance.rows));
    return Math.max(0, at);
  }

  /**
   * @param {string | undefined} seriesUid
   * @returns {number} its place in display order, -1 when it is not there
   */
  placeOf(seriesUid) {
    return this.series.findIndex((series) => series.series_instance_uid === seriesUid);
  }
}
