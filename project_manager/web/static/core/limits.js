// Limits of the API that the page obeys. The server lists them in the page (domain/limits.py).

const page = /** @type {HTMLElement} */ (document.getElementById("app"));

/** @type {Limits} */
export const LIMITS = JSON.parse(String(page.dataset.limits));
