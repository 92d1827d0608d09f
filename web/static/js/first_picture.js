/** What came in the page itself: the first picture with its info, and the list of the study. */

/**
 * @typedef {object} Came the preview of the frame that is seen first, as the node would answer
 * @property {{digest: string, correction_id: string, info: any}} answer
 * @property {Blob} jpeg
 * @property {ImageBitmap} picture
 */

/**
 * Return the first picture.
 * @param {Document} page
 * @returns {Promise<Came | null>} null when the page has none, or none that can be drawn
 */
export async function firstPicture(page) {
  const answer = written(page, "first-answer");
  const image = page.querySelector('img[data-field="first-picture"]');
  if (!answer || !(image instanceof HTMLImageElement)) return null;
  const jpeg = new Blob([bytesOf(image.src)], { type: "image/jpeg" });
  const picture = await createImageBitmap(jpeg).catch(() => null);
  return picture && { answer, jpeg, picture };
}

/**
 * Return the JSON that stands in an element.
 * @param {Document} page
 * @param {string} id
 * @returns {any} null when there is no such element
 */
export function written(page, id) {
  const text = page.getElementById(id)?.textContent;
  return text ? JSON.parse(text) : null;
}

/**
 * @param {string} address that holds bytes in base64
 * @returns {Uint8Array}
 */
function bytesOf(address) {
  return Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
}
