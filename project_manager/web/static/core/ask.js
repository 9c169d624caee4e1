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

/** Ask a yes-or-no question. Resolves to false if the person cancels. */
export function ask({ title, body, confirm, danger = false }) {
  return new Promise((resolve) => openDialog("confirm", { title, body, confirm, danger, answer: resolve }));
}

const SHOWN_MS = 5000;
const UNDO_MS = 9000;
const IN_USE = ".toasts:hover, .toasts:focus-within";

/** Drop a message after its time, but not while the pointer or the focus is on the messages. */
function dropLater(id, ms) {
  setTimeout(() => (document.querySelector(IN_USE) ? dropLater(id, 1000) : dropToast(id)), ms);
}

/** Show a short message in place of the one in the same `slot`. `undo` adds a button. Errors stay until they are closed. */
export function toast(text, { hint = "", tone = "ok", slot = "news", undo = null, undoName = "Undo" } = {}) {
  // An error that is still shown is not repeated.
  if (tone === "error" && state.toasts.some((other) => other.tone === tone && other.text === text && other.hint === hint)) return;
  last += 1;
  const id = last;
  dispatch({ type: "toast", toast: { id, text, hint, tone, slot, undo, undoName } });
  if (tone !== "error") dropLater(id, undo ? UNDO_MS : SHOWN_MS);
}

export const dropToast = (id) => dispatch({ type: "dropToast", id });

export function complain(error) {
  if (error.status === 401) return;
  if (error.status === undefined) throw error;
  toast(error.message, { hint: error.hint, tone: "error" });
}
