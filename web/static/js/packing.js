/** Values of 16 bits that travel as differences of neighbours. Numbers and arrays only. */

/**
 * Return the values of a packed frame.
 * @param {ArrayBuffer} bytes the lower bytes of all differences, then the upper ones; each is to the
 *   value on the left, or above for the first of a row, folded so that its lowest bit is its sign
 * @param {number} columns
 * @returns {ArrayBuffer} of 16-bit values in the order of this machine
 */
export function unpacked(bytes, columns) {
  const folded = new Uint8Array(bytes);
  const length = folded.length >> 1;
  const values = new Uint16Array(length);
  let value = 0;
  for (let first = 0; first < length; first += columns) {
    value = first ? values[first - columns] : 0;
    for (let at = first; at < first + columns; at += 1) {
      const difference = folded[at] | (folded[at + length] << 8);
      value += (difference >> 1) ^ -(difference & 1);
      values[at] = value;
    }
  }
  return values.buffer;
}
