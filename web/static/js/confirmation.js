/** The question to the radiographer whether all images of a study are here. */

import { ask, Refused, timeout, write } from "./page.js";
import { counted } from "./text.js";

/** @typedef {import("./study_rows.js").Study} Study */

/** One dialog for all rows. What is confirmed is the number that stood in it. */
export class Confirmation {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {() => void} onDone
   */
  constructor(dialog, onDone) {
    this.dialog = dialog;
    this.onDone = onDone;
    this.by = /** @type {HTMLInputElement} */ (dialog.querySelector("input"));
    /** @type {Study | null} */
    this.study = null;
    dialog.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send("confirmation", { confirmed_by: this.by.value, number_of_instances: this.study?.number_of_study_related_instances });
    });
    this.part("[data-take-back]").addEventListener("click", () => {
      if (this.by.reportValidity()) this.send("confirmation/taken-back", { taken_back_by: this.by.value });
    });
    this.part("[data-close]").addEventListener("click", () => dialog.close());
  }

  /**
   * @param {string} selector
   * @returns {HTMLElement}
   */
  part(selector) {
    return /** @type {HTMLElement} */ (this.dialog.querySelector(selector));
  }

  /** @param {Study} study */
  open(study) {
    this.study = study;
    for (const [name, text] of Object.entries(study.display)) write(this.dialog.querySelector(`[data-field="${name}"]`), text);
    const images = counted(study.number_of_study_related_instances, "image");
    write(this.part("[data-how-many]"), `${images} in ${counted(study.number_of_study_related_series, "series")} here`);
    const { words, basis } = study.completeness;
    write(this.part("[data-what-is-known]"), `${words}: ${basis}.`);
    write(this.part("[data-yes]"), study.number_of_study_related_instances === 1 ? "The one image is all" : `All ${images} are here`);
    const isConfirmed = study.completeness.state === "complete";
    this.part("[data-take-back]").hidden = !isConfirmed;
    this.part("[data-yes]").hidden = isConfirmed;
    this.say("");
    this.dialog.showModal();
    this.by.focus();
  }

  /**
   * @param {string} path
   * @param {object} body
   */
  async send(path, body) {
    if (!this.study) return;
    try {
      await ask(`/api/v1/studies/${this.study.study_instance_uid}/${path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: timeout(8000),
      });
      this.dialog.close();
    } catch (error) {
      this.say(error instanceof Refused ? error.message : "The node does not answer. Nothing was kept.");
    }
    this.onDone();
  }

  /** @param {string} words */
  say(words) {
    const trouble = this.part("[data-trouble]");
    trouble.hidden = !words;
    write(trouble.querySelector("[data-words]"), words);
  }
}
