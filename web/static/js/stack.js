/** The frames of a study in the order they are scrolled through. Pure functions, no page. */

/**
 * @typedef {{sop_instance_uid: string, instance_number: number | null, number_of_frames: number,
 *   digest: string, is_conflict: boolean}} Instance
 * @typedef {{series_instance_uid: string, modality: string, series_number: number | null,
 *   title: string, instances: Instance[], warnings: string[], opens_at: number,
 *   stacks: {frames: [number, number, number][]}[]}} Series
 * @typedef {{key: string, url: string, digest: string, series_instance_uid: string,
 *   study_instance_uid: string, sop_instance_uid: string, frame_number: number,
 *   is_conflict: boolean, correction_id?: string}} Slice one frame; `key` names it in every answer
 */

/**
 * Return the slices of a series: every frame of every stack, in display order.
 * @param {string} studyUid
 * @param {Series} series
 * @param {string} [correctionId] of the correction of the study's identity, if there is one
 * @returns {Slice[]}
 */
export function slicesOf(studyUid, series, correctionId = "") {
  return series.stacks.flatMap((stack) =>
    stack.frames.flatMap(([at, first, count]) =>
      Array.from({ length: count }, (_, index) => ({
        ...slice(studyUid, series, series.instances[at], first + index),
        correction_id: correctionId,
      })),
    ),
  );
}

/**
 * @param {string} studyUid
 * @param {Series} series
 * @param {any} instance
 * @param {number} number of its frame, from 1
 * @returns {Slice}
 */
function slice(studyUid, series, instance, number) {
  return {
    key: `${instance.sop_instance_uid}#${number}`,
    url:
      `/api/v1/studies/${studyUid}/series/${series.series_instance_uid}` +
      `/instances/${instance.sop_instance_uid}/frames/${number}`,
    digest: instance.digest,
    study_instance_uid: studyUid,
    series_instance_uid: series.series_instance_uid,
    sop_instance_uid: instance.sop_instance_uid,
    frame_number: number,
    is_conflict: instance.is_conflict,
  };
}

/**
 * @param {Slice} slice
 * @returns {string} what an address names so that its answer never changes: the bytes, and whose they are
 */
export function versionQuery(slice) {
  const identity = slice.correction_id ? `&correction=${slice.correction_id}` : "";
  return `v=${slice.digest.slice(0, 16)}${identity}`;
}

/**
 * Return whether a series has instances of several frames.
 * @param {Series | undefined} series
 * @returns {boolean}
 */
export function hasFrames(series) {
  return Boolean(series && series.instances.some((instance) => instance.number_of_frames > 1));
}

/**
 * Return which slices to load ahead: two on each side, then two in the direction of motion for each
 * one behind, to both ends of the stack.
 * @param {number} index
 * @param {number} length
 * @param {number} direction 1 or -1
 * @param {number} [many]
 * @returns {number[]} most wanted first
 */
export function ahead(index, length, direction, many = 12) {
  /** @type {number[]} */
  const found = [];
  const add = (/** @type {number} */ step) => {
    const at = index + step * direction;
    if (at >= 0 && at < length && found.length < many) found.push(at);
  };
  for (const step of [1, -1, 2, -2]) add(step);
  for (let behind = 3; found.length < many && behind < length; behind += 1) {
    add(2 * behind - 3);
    add(2 * behind - 2);
    add(-behind);
  }
  return found;
}

/**
 * @param {Slice[]} slices
 * @param {number} index
 * @param {number} direction 1 or -1
 * @param {number} [many]
 * @returns {Slice[]} those that come next when somebody goes on scrolling
 */
export function onward(slices, index, direction, many = 6) {
  return Array.from({ length: many }, (_, at) => slices[index + direction * (at + 1)]).filter(Boolean);
}

/** @type {WeakMap<Series[], Slice[]>} */
const openings = new WeakMap();

/**
 * Return the slice that each series opens with.
 * @param {string} studyUid
 * @param {Series[]} series
 * @param {string} [correctionId]
 * @returns {Slice[]}
 */
export function openingSlices(studyUid, series, correctionId = "") {
  const known = openings.get(series);
  if (known) return known;
  const pictures = series.filter((one) => one.instances.some((/** @type {any} */ instance) => instance.rows));
  const found = pictures.map((one) => slicesOf(studyUid, one, correctionId)[one.opens_at]).filter(Boolean);
  openings.set(series, found);
  return found;
}

/**
 * Return where the slice that is being viewed is in a list that has grown.
 * @param {Slice[]} slices
 * @param {string} key of the viewed slice
 * @param {number} index it had before
 * @returns {number}
 */
export function sameSlice(slices, key, index) {
  const found = slices.findIndex((slice) => slice.key === key);
  return found >= 0 ? found : Math.min(index, Math.max(0, slices.length - 1));
}

/**
 * Return the slice a number of steps away, over those that are let through only.
 * @param {Slice[]} slices
 * @param {number} index
 * @param {number} steps
 * @param {(slice: Slice) => boolean} isShown
 * @returns {number} -1 when none is let through
 */
export function stepped(slices, index, steps, isShown) {
  const shown = places(slices, isShown);
  const before = shown.filter((at) => at < index).length;
  const isOn = shown[before] === index;
  const wanted = before + steps - (steps > 0 && !isOn ? 1 : 0);
  return shown.length ? shown[Math.max(0, Math.min(shown.length - 1, wanted))] : -1;
}

/**
 * Return the slice nearest to a place that is let through: on the way there first, then beyond.
 * @param {Slice[]} slices
 * @param {number} to
 * @param {number} direction of motion, 1 or -1
 * @param {(slice: Slice) => boolean} isShown
 * @returns {number} -1 when none is let through
 */
export function nearestShown(slices, to, direction, isShown) {
  const shown = places(slices, isShown);
  const on = direction > 0 ? shown.find((at) => at >= to) : shown.filter((at) => at <= to).pop();
  const back = direction > 0 ? shown[shown.length - 1] : shown[0];
  return on ?? back ?? -1;
}

/**
 * @param {Slice[]} slices
 * @param {(slice: Slice) => boolean} isShown
 * @returns {number[]}
 */
function places(slices, isShown) {
  return slices.flatMap((slice, at) => (isShown(slice) ? [at] : []));
}
