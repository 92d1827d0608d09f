/** Words for people. Pure functions, no page. */

/**
 * Return a time span in its largest unit: "12 s", "4 min", "3 h", "2 d".
 * @param {number} seconds
 * @returns {string}
 */
export function elapsed(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, unit] of /** @type {[number, string][]} */ ([[86400, "d"], [3600, "h"], [60, "min"]])) {
    if (whole >= 2 * size || (whole >= size && size > 60)) return `${Math.floor(whole / size)} ${unit}`;
  }
  return `${whole} s`;
}

/**
 * Say what is known of a study that may still be arriving. It never says "complete".
 * @param {number} quietSeconds time since the last instance arrived
 * @param {number} quietAfterSeconds from then on nothing more is assumed to be on its way
 * @returns {{state: "receiving" | "quiet", words: string}}
 */
export function received(quietSeconds, quietAfterSeconds) {
  if (quietSeconds < quietAfterSeconds) {
    return { state: "receiving", words: `Receiving · last ${elapsed(quietSeconds)} ago` };
  }
  return { state: "quiet", words: `No new images for ${elapsed(quietSeconds)}` };
}

/**
 * Return a number with its noun: "1 image", "3 images", "2 series", "2 studies".
 * @param {number} number
 * @param {string} noun in the singular
 * @returns {string}
 */
export function counted(number, noun) {
  const plural = noun.endsWith("s") ? noun : noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number} ${number === 1 ? noun : plural}`;
}

/**
 * Return a number with at most two decimals and without trailing zeros.
 * @param {number} value
 * @returns {string}
 */
export function short(value) {
  return String(Math.round(value * 100) / 100);
}

/**
 * Return a date as DICOM writes it.
 * @param {Date} day
 * @returns {string} YYYYMMDD, local time
 */
export function dicomDate(day) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${day.getFullYear()}${two(day.getMonth() + 1)}${two(day.getDate())}`;
}

/**
 * Return the date range "from so many days ago until now" of a search.
 * @param {number} days 1 is today alone
 * @param {Date} today
 * @returns {string} YYYYMMDD-
 */
export function sinceDays(days, today) {
  const first = new Date(today.getFullYear(), today.getMonth(), today.getDate() - (days - 1));
  return `${dicomDate(first)}-`;
}
