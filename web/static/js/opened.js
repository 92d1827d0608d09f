/** Remembers that this browser has the study of this page open, for the board's mark of what is new. */

import { NodeClock } from "./page.js";
import { markSeen } from "./seen.js";

const studyUid = document.body.dataset.studyInstanceUid;
const clock = new NodeClock(document.body.dataset.now || "");

if (studyUid) {
  const mark = () => markSeen(studyUid, clock.now());
  mark();
  setInterval(mark, 5000);
  window.addEventListener("pagehide", mark);
}
