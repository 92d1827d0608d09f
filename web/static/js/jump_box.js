/** Going to what somebody says aloud: "series three, slice forty" is 3/40. */

/** @typedef {import("./viewer.js").Viewer} Viewer */

/**
 * Return what was said.
 * @param {string} text as in "3/40", "40" or "3/"
 * @returns {{series: number | null, image: number | null} | null} null when it is neither
 */
export function spoken(text) {
  const found = /^\s*(?:(\d{1,6})\s*[/ ]\s*)?(\d{1,6})?\s*$/.exec(text);
  if (!found || !(found[1] || found[2])) return null;
  return { series: found[1] ? Number(found[1]) : null, image: found[2] ? Number(found[2]) : null };
}

/**
 * Return the place of the series with a number; of several, the first.
 * @param {{series_number: number | null}[]} series
 * @param {number} number
 * @returns {number} -1 when there is none
 */
export function seriesNumbered(series, number) {
  return series.findIndex((one) => one.series_number === number);
}

/** @param {Viewer} viewer */
export function installJumpBox(viewer) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("jump"));
  const box = /** @type {HTMLInputElement} */ (form.querySelector("input"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!goTo(viewer, box.value)) return viewer.say("There is no such image. Write series/image, as in 3/40.");
    box.value = "";
    viewer.active.canvas.focus({ preventScroll: true });
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") viewer.active.canvas.focus({ preventScroll: true });
  });
  viewer.registerKey("G", "Go to series/image, as in 3/40", () => box.focus());
}

/**
 * @param {Viewer} viewer
 * @param {string} text
 * @returns {boolean} whether that image is here
 */
function goTo(viewer, text) {
  const said = spoken(text);
  const study = viewer.active.study;
  if (!said || !study) return false;
  if (said.series !== null) {
    const at = seriesNumbered(study.series, said.series);
    if (at < 0) return false;
    viewer.chooseSeries(at);
  }
  if (said.image === null) return true;
  if (said.image < 1 || said.image > viewer.active.slices.length) return false;
  viewer.active.goTo(said.image - 1);
  return true;
}
