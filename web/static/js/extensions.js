/** What other modules add to the viewer. Each is called once with it, when the first picture is there. */

import { documents } from "./documents.js";
import { exportView } from "./export_view.js";
import { installMarks } from "./marks.js";
import { tagBrowser } from "./tag_browser.js";

/** @type {((viewer: import("./viewer.js").Viewer) => void)[]} */
export const extensions = [documents, tagBrowser, exportView, installMarks];
