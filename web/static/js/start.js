/** Opens the viewer of the study the page names. */

import { extensions } from "./extensions.js";
import { Viewer } from "./viewer.js";

const viewer = new Viewer(document.body.dataset.studyInstanceUid || "");
for (const install of extensions) install(viewer);
viewer.start();
