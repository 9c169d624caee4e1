// Short messages.
import { dispatch, state } from "./store.js";

let last = 0;

const SHOWN_MS = 5000;
const UNDO_MS = 9000;
const IN_USE = ".toasts:hover, .toasts:focus-within";

/** The errors of an unreachable server that have a timer. */
const ending = new Set();

/** Dismiss a message after `ms`, but not while the pointer or the focus is on the messages. */
function dismissLater(/** @type {number} */ id, /** @type {number} */ ms) {
  setTimeout(() => (document.querySelector(IN_USE) ? dismissLater(id, 1000) : dismissToast(id)), ms);
}

/** Show a short message in place of the one in the same `slot`. `undo` adds a button. Errors stay until closed. */
export function toast(/** @type {string} */ text, /** @type {Partial<Toast>} */ options = {}) {
  last += 1;
  /** @type {Toast} */
  const shown = {
    hint: "", tone: "ok", offline: false, slot: "default", undo: null, undoName: "Undo", more: null, moreName: "", text,
    ...options,
    id: last, since: performance.now(),
  };
  const isError = shown.tone === "error";
  // Do not repeat an error that is still visible.
  const { hint } = shown;
  const isSame = (/** @type {Toast} */ other) =>
    other.tone === "error" && other.text === shown.text && other.hint === hint;
  if (isError && state.toasts.some(isSame)) return;
  dispatch({ type: "toast", toast: shown });
  if (!isError) dismissLater(shown.id, shown.undo || shown.more ? UNDO_MS : SHOWN_MS);
}

export const dismissToast = (/** @type {number} */ id) => dispatch({ type: "dismissToast", id });

export function showError(/** @type {any} */ error) {
  if (error.status === 401) return;
  if (error.status === undefined) throw error;
  toast(error.message, { hint: error.hint, tone: "error", offline: error.code === "offline" });
}

/** Dismiss the errors of an unreachable server, after the time of other messages. The page is live again. */
export function dismissOffline() {
  for (const { id, since, offline } of state.toasts) {
    if (!offline || ending.has(id)) continue;
    ending.add(id);
    dismissLater(id, Math.max(0, SHOWN_MS - (performance.now() - since)));
  }
}
