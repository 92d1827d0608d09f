/** What other modules add to the viewer. Each is called once with it, before anything is shown. */

/** @type {((viewer: import("./viewer.js").Viewer) => void)[]} */
export const extensions = [];
