// Short messages at the top or the bottom of the window, away from the pointer and the focus.
import { cx, html, useEffect, useRef, useState } from "../core/html.js";
import { useStore } from "../state/store.js";
import { dismissToast } from "../state/toasts.js";
import { Icon } from "./icons.js";

function Toast(/** @type {{ toast: Toast }} */ { toast }) {
  const undone = useRef(null);
  const undo = () => {
    // The button stays until the next frame: a second press undoes nothing.
    if (undone.current === toast.id) return;
    undone.current = toast.id;
    dismissToast(toast.id);
    toast.undo?.();
  };
  return html`<div class=${cx("toast", toast.tone)} data-testid="toast">
    <${Icon} name=${toast.tone === "error" ? "warn" : "check"} />
    <div class="toast-text"><p>${toast.text}</p>${toast.hint && html`<p class="hint">${toast.hint}</p>`}</div>
    ${toast.more && html`<button type="button" class="small quiet" onClick=${toast.more}>${toast.moreName}</button>`}
    ${toast.undo && html`<button type="button" class="small" onClick=${undo}>${toast.undoName}</button>`}
    <button type="button" class="quiet icon-button" aria-label="Dismiss" onClick=${() => dismissToast(toast.id)}>
      <${Icon} name="close" />
    </button>
  </div>`;
}

/** Vertical position of the last press or of the focused element, in pixels. */
let lastInputY = 0;

function follow(/** @type {any} */ event) {
  if (event.target.closest?.(".toasts")) return false;
  const box = event.target.getBoundingClientRect?.();
  if (event.type === "pointerdown") lastInputY = event.clientY;
  // The focus of a whole page or panel has no useful position.
  else if (box && box.height < innerHeight / 3) lastInputY = (box.top + box.bottom) / 2;
  else return false;
  return true;
}

/**
 * Return whether messages are at the top. They change sides with a new message or the focus, not under the pointer.
 */
function useSide(/** @type {Toast[]} */ toasts) {
  const [top, setTop] = useState(false);
  const newest = toasts[toasts.length - 1]?.id;
  const settle = () => setTop(lastInputY > innerHeight / 2);
  useEffect(() => {
    const onFocus = (/** @type {FocusEvent} */ event) => follow(event) && settle();
    addEventListener("pointerdown", follow, true);
    addEventListener("focusin", onFocus);
    return () => {
      removeEventListener("pointerdown", follow, true);
      removeEventListener("focusin", onFocus);
    };
  }, []);
  const placed = useRef(newest);
  if (placed.current !== newest) {
    placed.current = newest;
    settle();
  }
  return top;
}

/** The message area, announced politely; errors are announced at once. */
export function Toasts() {
  const toasts = useStore((state) => state.toasts);
  const top = useSide(toasts);
  const shown = (/** @type {boolean} */ urgent) =>
    toasts.filter((toast) => (toast.tone === "error") === urgent).map((toast) => html`<${Toast}
        key=${urgent ? toast.id : toast.slot} toast=${toast} />`);
  return html`<div class=${cx("toasts", top && "top")}>
    <div role="status" aria-live="polite">${shown(false)}</div>
    <div role="alert">${shown(true)}</div>
  </div>`;
}
