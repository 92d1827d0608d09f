/** The button that gives a page the whole screen; it stays away where the browser cannot. */

const button = document.querySelector("[data-full-screen]");

if (button instanceof HTMLElement && document.fullscreenEnabled) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const turning = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
    turning.catch(() => undefined); // the browser's own rule; the page stays as it is
  });
  document.addEventListener("fullscreenchange", () => {
    button.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
  });
}
