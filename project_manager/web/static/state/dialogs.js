// Opening and closing of dialogs.
import { atOnce } from "../core/html.js";
import { dispatchNow } from "./store.js";

let last = 0;

export function openDialog(/** @type {string} */ kind, props = {}) {
  last += 1;
  const id = last;
  atOnce(() => dispatchNow({ type: "openDialog", dialog: { id, kind, props } }));
  return id;
}

export const closeDialog = (/** @type {number} */ id) => dispatchNow({ type: "closeDialog", id });

/** Ask a yes-or-no question. Resolve to false if the user cancels. */
/** @param {{ title: string, body: string, list?: string[], confirm: string, danger?: boolean }} question */
export function confirmDialog(question) {
  return new Promise((resolve) => openDialog("confirm", { ...question, answer: resolve }));
}
