/** Turning and mirroring; only radiographs, which are taken from either side, may be turned. */

/** @typedef {import("./viewer.js").Viewer} Viewer */

const MAY_TURN = ["CR", "DX"];
const WHY_NOT = "Only CR and DX images are turned or mirrored: elsewhere the side would be in doubt.";

/**
 * @param {any} info of a frame
 * @returns {boolean}
 */
export function mayTurn(info) {
  return MAY_TURN.includes(info.series.modality);
}

/** @param {Viewer} viewer */
export function installTurning(viewer) {
  const may = () => Boolean(viewer.active.frame && mayTurn(viewer.active.frame.info));
  const turn = (/** @type {number} */ quarters) => {
    if (!may()) return viewer.say(WHY_NOT);
    const { viewport } = viewer.active;
    viewport.look({ turns: (viewport.view.turns + quarters + 4) % 4 });
  };
  const flip = (/** @type {number} */ halfTurns) => {
    if (!may()) return viewer.say(WHY_NOT);
    const { viewport } = viewer.active;
    const { turns, isFlipped } = viewport.view;
    // mirrored as it is seen now: what was turned already turns the other way round
    viewport.look({ isFlipped: !isFlipped, turns: (4 - turns + halfTurns) % 4 });
  };
  viewer.registerAction("rotate", ({ value }) => turn(Number(value)));
  viewer.registerAction("flip", ({ value }) => flip(value === "vertical" ? 2 : 0));
  viewer.registerKey(".", "Turn right (CR and DX only)", () => turn(1));
  viewer.registerKey(",", "Turn left (CR and DX only)", () => turn(-1));
  viewer.registerKey("M", "Mirror left to right (CR and DX only)", () => flip(0));
  viewer.registerKey("Shift+M", "Mirror top to bottom (CR and DX only)", () => flip(2));
  viewer.onDrawn(() => {
    for (const button of document.querySelectorAll('button[data-action="rotate"], button[data-action="flip"]')) {
      button.setAttribute("aria-disabled", String(!may()));
    }
  });
}
