// Dialogs and toasts.
import { atOnce } from "./html.js";
import { dispatch, dispatchNow, state } from "./store.js";

let last = 0;

export function openDialog(kind, props = {}) {
  last += 1;
  const id = last;
  atOnce(() => dispatchNow({ type: "openDialog", dialog: { id, kind, props } }));
  return id;
}

export const closeDialog = (id) => dispatchNow({ type: "closeDialog", id });

/** Ask a yes-or-no question. Resolve to false if the user cancels. */
export function confirmDialog({ title, body, confirm, danger = false }) {
  return new Promise((resolve) => openDialog("confirm", { title, body, confirm, danger, answer: resolve }));
}

const SHOWN_MS = 5000;
const UNDO_MS = 9000;
const IN_USE = ".toasts:hover, .toasts:focus-within";

/** Dismiss a message after `ms`, but not while the pointer or the focus is on the messages. */
function dismissLater(id, ms) {
  setTimeout(() => (document.querySelector(IN_USE) ? dismissLater(id, 1000) : dismissToast(id)), ms);
}

/** Show a short message in place of the one in the same `slot`. `undo` adds a button. Errors stay until closed. */
export function toast(text, { hint = "", tone = "ok", slot = "default", undo = null, undoName = "Undo" } = {}) {
  // Do not repeat an error that is still visible.
  if (tone === "error"
    && state.toasts.some((other) => other.tone === tone && other.text === text && other.hint === hint)) {
    return;
  }
  last += 1;
  const id = last;
  dispatch({ type: "toast", toast: { id, text, hint, tone, slot, undo, undoName } });
  if (tone !== "error") dismissLater(id, undo ? UNDO_MS : SHOWN_MS);
}

export const dismissToast = (id) => dispatch({ type: "dismissToast", id });

export function showError(error) {
  if (error.status === 401) return;
  if (error.status === undefined) throw error;
  toast(error.message, { hint: error.hint, tone: "error" });
}
