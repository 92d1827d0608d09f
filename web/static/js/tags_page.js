/** The page of an instance's elements: its filter. The page works without it. */

import { bindFilter } from "./element_filter.js";

bindFilter(/** @type {HTMLElement} */ (document.getElementById("document"))).focus();
