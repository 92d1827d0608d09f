/** Comfort for the forms of reconciliation; all of them work without this file. */

/**
 * Say at once when the patient ID that was typed again is not the one that is shown.
 * @param {HTMLInputElement} field
 */
function watch(field) {
  const expected = field.dataset.expected || "";
  const check = () => {
    const isRight = field.value.trim() === expected.trim();
    field.setCustomValidity(isRight ? "" : "This is not the patient ID shown above.");
  };
  field.addEventListener("input", check);
  check();
}

/**
 * Let a merge be asked for only when studies are chosen.
 * @param {HTMLFormElement} form
 */
function needChoice(form) {
  const button = form.querySelector("button[type=submit]");
  if (!(button instanceof HTMLButtonElement)) return;
  const update = () => {
    button.disabled = !form.querySelector("input[name=study]:checked");
  };
  form.addEventListener("change", update);
  update();
}

/** @param {HTMLFormElement} form a second press does not send it twice */
function sendOnce(form) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button[type=submit]");
    if (button instanceof HTMLButtonElement) setTimeout(() => (button.disabled = true));
  });
}

for (const field of document.querySelectorAll("input[data-expected]")) {
  if (field instanceof HTMLInputElement) watch(field);
}
for (const form of document.querySelectorAll("form")) {
  if (form.matches(".choose")) needChoice(form);
  else sendOnce(form);
}
