/** How much is written over the pictures. Name, ID and what the picture is worth always stay. */

/** @typedef {import("./viewer.js").Viewer} Viewer */

const LEVELS = ["full", "minimal", "off"];
const WORDS = /** @type {Record<string, string>} */ ({ full: "All texts", minimal: "Few texts", off: "No texts but name and ID" });

/** @param {Viewer} viewer */
export function installAnnotations(viewer) {
  const { dataset } = document.body;
  dataset.annotations = "full";
  const next = () => {
    const level = LEVELS[(LEVELS.indexOf(dataset.annotations || "full") + 1) % LEVELS.length];
    dataset.annotations = level;
    viewer.say(WORDS[level]);
    for (const tile of viewer.tiles) tile.redraw();
  };
  viewer.registerAction("annotations", next);
  viewer.registerKey("I", "Texts over the picture: all, few, none but name and ID", next);
}
