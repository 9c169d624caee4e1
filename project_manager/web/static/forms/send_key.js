// Ctrl Enter (Cmd Enter) sends the form that has the focus.
import { onKeys } from "../core/keyboard.js";

function onKeyDown(/** @type {UiEvent} */ event) {
  const send = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  if (!send || event.defaultPrevented || event.repeat) return;
  const form = event.target.closest?.("form");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
}

export function startSendKey() {
  addEventListener("keydown", onKeys(onKeyDown));
}
