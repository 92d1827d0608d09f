/** Opens the viewer of the study the page names; what its first picture does not need comes behind it. */

import { Viewer } from "./viewer.js";

const viewer = new Viewer(document.body.dataset.studyInstanceUid || "");

async function start() {
  await viewer.start();
  // a frame of the screen later the picture is there
  await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
  try {
    const { extensions } = await import("./extensions.js");
    for (const install of extensions) install(viewer);
    document.body.dataset.tools = "all";
  } catch {
    viewer.say("Marks, documents and saving could not be loaded. Open the study again.");
  }
}

start();
