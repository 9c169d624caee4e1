// Settings of this browser in localStorage. Project data is never stored here.

const PREFIX = "project-manager:";

/**
 * Return the result of `use`, or null where the browser refuses storage, as private windows may do. Settings and drafts
 * are then not stored.
 * @template Value @param {() => Value} use
 */
export function withStorage(use) {
  try {
    return use();
  } catch {
    return null;
  }
}

export const loadSetting = (/** @type {string} */ name, /** @type {any} */ fallback) =>
  withStorage(() => JSON.parse(String(localStorage.getItem(PREFIX + name)))) ?? fallback;

export const saveSetting = (/** @type {string} */ name, /** @type {any} */ value) =>
  withStorage(() => localStorage.setItem(PREFIX + name, JSON.stringify(value)));
