// Settings of this browser in localStorage. Project data is never stored here.

const PREFIX = "project-manager:";

/** Private windows may refuse storage. Settings are then lost, and the page still works. */
export function loadSetting(/** @type {string} */ name, /** @type {any} */ fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function saveSetting(/** @type {string} */ name, /** @type {any} */ value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Without storage, settings last as long as the page.
  }
}
