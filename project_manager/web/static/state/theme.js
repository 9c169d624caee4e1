// The theme: light, dark or the system setting. theme_first.js applies it before the first paint.
import { loadSetting, saveSetting } from "../core/local_storage.js";
import { toast } from "./toasts.js";

const THEMES = ["auto", "light", "dark"];
/** @type {Record<string, string>} */
const NAMES = { auto: "As the system", light: "Light", dark: "Dark" };
/** @type {Set<() => void>} */
const listeners = new Set();

export const theme = () => (THEMES.includes(loadSetting("theme", "auto")) ? loadSetting("theme", "auto") : "auto");
export const themeName = () => NAMES[theme()];

export function applyTheme() {
  const chosen = theme();
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function cycleTheme() {
  saveSetting("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  applyTheme();
  for (const listener of listeners) listener();
  toast(`Theme: ${themeName()}`);
}

export function onTheme(/** @type {() => void} */ listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
