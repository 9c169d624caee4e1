import { dropToast } from "../core/ask.js";
import { cx, html } from "../core/html.js";
import { useStore } from "../core/store.js";
import { Icon } from "./icons.js";

function Toast({ toast }) {
  const undo = () => {
    dropToast(toast.id);
    toast.undo();
  };
  return html`<div class=${cx("toast", toast.tone)} data-testid="toast">
    <${Icon} name=${toast.tone === "error" ? "warn" : "check"} />
    <div class="toast-text"><p>${toast.text}</p>${toast.hint && html`<p class="hint">${toast.hint}</p>`}</div>
    ${toast.undo && html`<button type="button" class="small" onClick=${undo}>Undo</button>`}
    <button type="button" class="quiet icon-button" aria-label="Dismiss" onClick=${() => dropToast(toast.id)}><${Icon} name="close" /></button>
  </div>`;
}

/** Announced politely; errors at once. */
export function Toasts() {
  const toasts = useStore((state) => state.toasts);
  const shown = (urgent) => toasts.filter((toast) => (toast.tone === "error") === urgent).map((toast) => html`<${Toast} key=${toast.id} toast=${toast} />`);
  return html`<div class="toasts">
    <div role="status" aria-live="polite">${shown(false)}</div>
    <div role="alert">${shown(true)}</div>
  </div>`;
}
