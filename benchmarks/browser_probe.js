// Runs in a page before its own scripts: tells when pictures appear and change, in any viewer.
// On each animation frame the largest canvas or img is drawn into 64 x 64 pixels and hashed; of
// equally large ones the last, which lies on top.
(() => {
  const SIDE = 64;
  const LEVELS_OF_A_PICTURE = 16; // fewer is a placeholder
  const SMALLEST_AREA = 40000;
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  const context = small.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  const seen = { first: null, levels: 0, changes: [], frames: 0, cost: 0 };
  let element = null;
  let looked = -1e9;
  let last = 0;

  const largest = () => {
    let best = null;
    let area = SMALLEST_AREA;
    for (const one of document.querySelectorAll("canvas,img")) {
      const box = one.getBoundingClientRect();
      const isDrawn = one.naturalWidth || (one.tagName === "CANVAS" && one.width);
      if (box.width * box.height >= area && isDrawn) {
        best = one;
        area = box.width * box.height;
      }
    }
    return best;
  };

  const look = (now) => {
    if (!element || !element.isConnected || now - looked > 500) {
      element = largest();
      looked = element ? now : now - 400;
      if (!element) return;
    }
    context.clearRect(0, 0, SIDE, SIDE);
    context.drawImage(element, 0, 0, SIDE, SIDE);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    let hash = 2166136261;
    for (const word of new Uint32Array(data.buffer)) hash = Math.imul(hash ^ word, 16777619);
    if (hash === last) return;
    last = hash;
    if (seen.first === null) {
      const greens = new Set();
      for (let at = 1; at < data.length; at += 4) greens.add(data[at]);
      seen.levels = greens.size;
      if (greens.size < LEVELS_OF_A_PICTURE) return;
      seen.first = now;
    }
    seen.changes.push(performance.now());
  };

  const tick = () => {
    requestAnimationFrame(tick);
    seen.frames += 1;
    const begin = performance.now();
    try {
      look(begin);
    } catch (error) {
      seen.error = String(error);
    }
    seen.cost += performance.now() - begin;
  };

  requestAnimationFrame(tick);
  window.__seen = seen;
  window.__box = () => {
    const { x, y, width, height } = largest().getBoundingClientRect();
    return [x, y, width, height];
  };
  localStorage.setItem("shownTours", '["basicViewerTour"]'); // OHIF's welcome stands before the picture
})();
