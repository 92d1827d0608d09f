/** Another study beside the one that is open. */

import { ask, timeout, write } from "./page.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

class Compare {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.dialog = /** @type {HTMLDialogElement} */ (document.getElementById("compare"));
    this.list = /** @type {HTMLElement} */ (this.dialog.querySelector("[data-studies]"));
    this.dialog.querySelector("[data-close]")?.addEventListener("click", () => this.dialog.close());
  }

  /** Offer the other studies of the patient. */
  async offer() {
    const note = this.dialog.querySelector("[data-words]");
    this.list.textContent = "";
    write(note, "Looking …");
    this.dialog.showModal();
    try {
      const { uid } = this.viewer.active.study || this.viewer.study;
      const answer = await (await ask(`/api/v1/studies/${uid}/others`, { signal: timeout(8000) })).json();
      write(note, answer.studies.length ? "" : "This node holds no other study with this patient ID. The PACS may.");
      for (const study of answer.studies) this.list.append(this.entry(study));
    } catch {
      write(note, "The node does not answer.");
    }
  }

  /**
   * @param {any} study
   * @returns {HTMLElement}
   */
  entry(study) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.className = "button";
    button.type = "button";
    const { display } = study;
    write(button, [display.study_date, display.modalities, display.what, display.name, display.held].filter(Boolean).join(" · "));
    button.addEventListener("click", () => {
      this.dialog.close();
      this.beside(study.study_instance_uid);
    });
    item.append(button);
    return item;
  }

  /**
   * Show a study in the tile after the active one.
   * @param {string} studyUid
   */
  async beside(studyUid) {
    const { viewer } = this;
    try {
      const study = await viewer.open(studyUid);
      if (viewer.tiles.length < 2) viewer.layout?.choose("1x2");
      const other = viewer.tiles[(viewer.tiles.indexOf(viewer.active) + 1) % viewer.tiles.length];
      other.show(study, study.firstToShow());
    } catch {
      viewer.say("That study cannot be opened now. The one that is open stays.");
    }
  }
}

/** @param {Viewer} viewer */
export function installCompare(viewer) {
  const compare = new Compare(viewer);
  viewer.registerAction("compare", () => compare.offer());
  viewer.registerKey("B", "Beside: compare with another study of this patient", () => compare.offer());
  const beside = new URLSearchParams(location.search).get("with") || "";
  if (/^[0-9.]{1,64}$/.test(beside)) viewer.onStart(() => compare.beside(beside));
}
