// Dialogs and toasts, opened from anywhere.
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

/** Asks a yes-or-no question; false when the person backs out. */
export function ask({ title, body, confirm, danger = false }) {
  return new Promise((resolve) => openDialog("confirm", { title, body, confirm, danger, answer: resolve }));
}

/** A short message. `undo` adds a button. Errors stay until they are closed. */
export function toast(text, { hint = "", tone = "ok", undo = null } = {}) {
  // An error that still stands there need not be said twice.
  if (tone === "error" && state.toasts.some((other) => other.tone === tone && other.text === text && other.hint === hint)) return;
  last += 1;
  const id = last;
  dispatch({ type: "toast", toast: { id, text, hint, tone, undo } });
  if (tone !== "error") setTimeout(() => dispatch({ type: "dropToast", id }), undo ? 9000 : 5000);
}

export const dropToast = (id) => dispatch({ type: "dropToast", id });

export function complain(error) {
  if (error.status === 401) return;
  if (error.status === undefined) throw error;
  toast(error.message, { hint: error.hint, tone: "error" });
}
