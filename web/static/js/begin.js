/**
 * Begins what a page does not need for its first picture when that was seen: on a fast line dozens of
 * scripts would otherwise be asked for, answered and compiled before it.
 */

const waiting = document.getElementById("behind");
// a second time there is nothing left in it
const begin = () => waiting instanceof HTMLTemplateElement && document.body.append(waiting.content);

if (document.hidden) begin();
else requestAnimationFrame(() => setTimeout(begin)); // no frame comes before the styles are here
document.addEventListener("visibilitychange", begin); // nor where nobody looks any more
