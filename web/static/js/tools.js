/** Mouse, touch, wheel, keys and buttons: each says what is wanted, none knows how it is drawn. */

/**
 * @typedef {object} Actions
 * @property {() => string} tool name of the tool the left button has: window, scroll, zoom or pan
 * @property {(name: string) => void} chooseTool
 * @property {(steps: number) => void} scroll
 * @property {(index: number) => void} goTo
 * @property {(steps: number) => void} seriesBy
 * @property {() => void} beginDrag
 * @property {() => void} endDrag
 * @property {(right: number, up: number) => void} window total way since the drag began
 * @property {(right: number, up: number) => void} windowStep
 * @property {(factor: number) => void} zoom
 * @property {(right: number, down: number) => void} pan
 * @property {(number: number) => void} preset
 * @property {() => void} invert
 * @property {() => void} fit
 * @property {() => void} oneToOne
 * @property {() => void} reset
 * @property {() => void} help
 */

const SCROLL_PX = 14;
/** From here on a wheel's turn is a notch of a mouse, below it a touchpad glides. */
const NOTCH_PX = 50;
const GLIDE_PX = 24;

/**
 * Let pointers drag on the canvas: left has the chosen tool, middle pans, right zooms.
 * @param {HTMLElement} canvas
 * @param {Actions} actions
 */
export function bindPointers(canvas, actions) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  /** @type {{tool: string, x: number, y: number, rest: number, right: number, up: number} | null} */
  let drag = null;

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    drag = { tool: toolOf(event, actions), x: event.clientX, y: event.clientY, rest: 0, right: 0, up: 0 };
    actions.beginDrag();
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before || !drag) return;
    if (down.size === 2) pinch(down, event, actions);
    else move(drag, event.clientX - before.x, event.clientY - before.y, speed(event), actions);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const end = (/** @type {PointerEvent} */ event) => {
    down.delete(event.pointerId);
    if (down.size) return;
    drag = null;
    actions.endDrag();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

/** @param {PointerEvent} event @param {Actions} actions @returns {string} */
function toolOf(event, actions) {
  if (event.button === 1) return "pan";
  if (event.button === 2) return "zoom";
  if (event.pointerType === "touch" && actions.tool() === "window") return "scroll";
  return actions.tool();
}

/** @param {PointerEvent} event @returns {number} Shift is finer, Ctrl is faster */
function speed(event) {
  return event.shiftKey ? 0.25 : event.ctrlKey ? 4 : 1;
}

/**
 * @param {{tool: string, rest: number, right: number, up: number}} drag
 * @param {number} right
 * @param {number} down
 * @param {number} pace
 * @param {Actions} actions
 */
function move(drag, right, down, pace, actions) {
  drag.right += right * pace;
  drag.up -= down * pace;
  if (drag.tool === "window") actions.window(drag.right, drag.up);
  if (drag.tool === "zoom") actions.zoom(1.01 ** -down);
  if (drag.tool === "pan") actions.pan(right, down);
  if (drag.tool === "scroll") {
    drag.rest += down;
    const steps = Math.trunc(drag.rest / SCROLL_PX);
    drag.rest -= steps * SCROLL_PX;
    if (steps) actions.scroll(steps);
  }
}

/**
 * Two fingers: their distance zooms, their middle pans.
 * @param {Map<number, {x: number, y: number}>} down
 * @param {PointerEvent} event
 * @param {Actions} actions
 */
function pinch(down, event, actions) {
  const before = /** @type {{x: number, y: number}} */ (down.get(event.pointerId));
  const other = [...down].find(([id]) => id !== event.pointerId)?.[1] || before;
  const now = { x: event.clientX, y: event.clientY };
  const grown = distance(now, other) / Math.max(1, distance(before, other));
  actions.zoom(grown);
  actions.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b @returns {number} */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/**
 * Let the wheel scroll through the stack; with Ctrl it zooms.
 * @param {HTMLElement} canvas
 * @param {Actions} actions
 */
export function bindWheel(canvas, actions) {
  let rest = 0;
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) return actions.zoom(1.0015 ** -event.deltaY);
      const isNotch = event.deltaMode !== WheelEvent.DOM_DELTA_PIXEL || Math.abs(event.deltaY) >= NOTCH_PX;
      rest = isNotch ? 0 : rest + event.deltaY;
      const notches = Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / 120));
      const steps = isNotch ? notches : Math.trunc(rest / GLIDE_PX);
      rest -= isNotch ? 0 : steps * GLIDE_PX;
      if (steps) actions.scroll(steps);
    },
    { passive: false },
  );
}

/**
 * Keys of the viewer; letters in either case.
 * @param {Actions} actions
 * @returns {Record<string, () => void>}
 */
export function keyMap(actions) {
  /** @type {Record<string, () => void>} */
  const keys = {
    arrowup: () => actions.scroll(-1),
    arrowleft: () => actions.scroll(-1),
    arrowdown: () => actions.scroll(1),
    arrowright: () => actions.scroll(1),
    pageup: () => actions.seriesBy(-1),
    pagedown: () => actions.seriesBy(1),
    home: () => actions.goTo(0),
    end: () => actions.goTo(Infinity),
    w: () => actions.chooseTool("window"),
    s: () => actions.chooseTool("scroll"),
    z: () => actions.chooseTool("zoom"),
    t: () => actions.chooseTool("pan"),
    n: () => actions.invert(),
    f: () => actions.fit(),
    escape: () => actions.reset(),
    "+": () => actions.zoom(1.25),
    "=": () => actions.zoom(1.25),
    "-": () => actions.zoom(0.8),
    "?": () => actions.help(),
    f1: () => actions.help(),
  };
  for (let digit = 0; digit <= 9; digit += 1) keys[String(digit)] = () => actions.preset(digit);
  return keys;
}

/**
 * Listen to keys, except while something is typed or a dialogue is open.
 * @param {Document} page
 * @param {Actions} actions
 */
export function bindKeys(page, actions) {
  const keys = keyMap(actions);
  page.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.ctrlKey || page.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("select") && event.key.length > 1) return;
    const act = keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/**
 * Give every button that names an action its work: what can be dragged can also be pressed.
 * @param {ParentNode} root
 * @param {Actions} actions
 */
export function bindButtons(root, actions) {
  for (const button of root.querySelectorAll("button[data-action]")) {
    const { action, value, right, up } = /** @type {HTMLElement} */ (button).dataset;
    /** @type {Record<string, () => void>} */
    const work = {
      tool: () => actions.chooseTool(String(value)),
      scroll: () => actions.scroll(Number(value)),
      series: () => actions.seriesBy(Number(value)),
      zoom: () => actions.zoom(Number(value)),
      window: () => actions.windowStep(Number(right || 0), Number(up || 0)),
      invert: () => actions.invert(),
      fit: () => actions.fit(),
      oneToOne: () => actions.oneToOne(),
      reset: () => actions.reset(),
      help: () => actions.help(),
    };
    button.addEventListener("click", work[String(action)]);
  }
}
