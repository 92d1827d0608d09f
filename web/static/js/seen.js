/** Which studies this browser has opened, and when; nothing but UIDs and times is kept. */

const KEY = "lifeboat.seen";
const MOST = 500;

/**
 * @typedef {object} Seen
 * @property {string} since before this, nothing counts as new: when this browser first came
 * @property {Record<string, string>} opened UID of a study to the node's time it was last open
 */

/**
 * Tell whether images of a study arrived since this browser last had it open.
 * @param {Seen} seen
 * @param {string} studyUid
 * @param {string} lastReceivedAt ISO 8601 in UTC
 * @returns {boolean}
 */
export function isNew(seen, studyUid, lastReceivedAt) {
  return Date.parse(lastReceivedAt) > Date.parse(seen.opened[studyUid] || seen.since);
}

/**
 * Add a study that is open; of very many the oldest are forgotten.
 * @param {Seen} seen
 * @param {string} studyUid
 * @param {string} now the node's time
 * @returns {Seen}
 */
export function withOpened(seen, studyUid, now) {
  const opened = Object.entries({ ...seen.opened, [studyUid]: now });
  opened.sort((a, b) => (a[1] < b[1] ? 1 : -1));
  return { since: seen.since, opened: Object.fromEntries(opened.slice(0, MOST)) };
}

/**
 * @param {string} now the node's time; where nothing can be kept, nothing is new
 * @returns {Seen}
 */
export function readSeen(now) {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) || "null");
    if (kept && typeof kept.since === "string" && typeof kept.opened === "object") return kept;
    localStorage.setItem(KEY, JSON.stringify({ since: now, opened: {} }));
  } catch (error) {
    // a browser that keeps nothing
  }
  return { since: now, opened: {} };
}

/**
 * @param {string} studyUid
 * @param {string} now the node's time
 */
export function markSeen(studyUid, now) {
  try {
    localStorage.setItem(KEY, JSON.stringify(withOpened(readSeen(now), studyUid, now)));
  } catch (error) {
    // a browser that keeps nothing
  }
}
