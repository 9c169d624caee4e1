// What this browser remembers about how the page is used; never anything about the work.

const PREFIX = "project-manager:";

/** A private window may refuse storage: then nothing is remembered, and nothing breaks. */
export function recall(name, fallback) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    return;
  }
}
