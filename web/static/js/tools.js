/** The tools the left button can have; the four that every viewer has are made here. */

/** @typedef {import("./tile.js").Tile} Tile */
/**
 * @typedef {object} DragPoint where a pointer is in the image, in columns and rows
 * @property {number} x
 * @property {number} y
 * @property {{x: number, y: number}} screen the same in CSS pixels from the canvas' upper left
 * @property {{x: number, y: number}} way CSS pixels gone since the drag began, finer with Shift, faster with Ctrl
 * @property {{x: number, y: number}} step CSS pixels gone since the last call
 */
/**
 * @typedef {object} Tool
 * @property {string} name as in `data-value` of its button, whose `data-action` is `tool`
 * @property {string} [cursor] CSS cursor over the picture
 * @property {boolean} [isClick] points are set by clicks: `move` is called while no button is held too
 * @property {(tile: Tile, point: DragPoint, event: PointerEvent) => void} begin the button went down
 * @property {(tile: Tile, point: DragPoint, event: PointerEvent) => void} move
 * @property {(tile: Tile, point: DragPoint, event: PointerEvent) => void} end the button came up
 */

const SCROLL_PX = 14;

/** @returns {Tool[]} window, scroll, zoom and move */
export function basicTools() {
  let rest = 0;
  return [
    {
      name: "window",
      cursor: "crosshair",
      begin: (tile) => tile.beginDrag(),
      move: (tile, { way }) => tile.dragWindow(way.x, -way.y),
      end: (tile) => tile.endDrag(),
    },
    {
      name: "scroll",
      cursor: "ns-resize",
      begin: () => (rest = 0),
      move: (tile, { step }) => {
        rest += step.y;
        const steps = Math.trunc(rest / SCROLL_PX);
        rest -= steps * SCROLL_PX;
        if (steps) tile.scrollBy(steps);
      },
      end: () => {},
    },
    {
      name: "zoom",
      cursor: "zoom-in",
      begin: (tile) => tile.beginDrag(),
      move: (tile, { step }) => tile.viewport.zoomBy(1.01 ** -step.y),
      end: (tile) => tile.endDrag(),
    },
    {
      name: "pan",
      cursor: "move",
      begin: (tile) => tile.beginDrag(),
      move: (tile, { step }) => tile.viewport.panBy(step.x, step.y),
      end: (tile) => tile.endDrag(),
    },
  ];
}
