// Settings of this browser in localStorage. Project data is never stored here.

const PREFIX = "project-manager:";

/** Private windows may refuse storage. Settings are then lost, and the page still works. */
export function loadSetting(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function saveSetting(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    return;
  }
}
