// Modal dialogs, based on the `dialog` element: it keeps the focus inside and the page behind it inert.
import { cx, focusedElement, html, useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { closeDialog } from "../state/dialogs.js";
import { Icon } from "./icons.js";

/** The question about unsaved changes. It is inside the dialog, so that the typed text stays visible. */
function Discard(/** @type {{ onKeep: () => void, onDiscard: () => void }} */ { onKeep, onDiscard }) {
  const keep = useRef(null);
  useEffect(() => keep.current.focus(), []);
  return html`<div class="discard" role="alertdialog" aria-label="Unsaved changes" aria-describedby="discard-words"
      data-testid="discard">
    <p id="discard-words"><${Icon} name="warn" /><b>Unsaved changes.</b> Closing discards them.</p>
    <div class="row">
      <button type="button" ref=${keep} onClick=${onKeep} data-testid="keep-editing">Keep editing</button>
      <button type="button" class="danger" onClick=${onDiscard} data-testid="discard-changes">Discard</button>
    </div>
  </div>`;
}

/** Return a reference for a dialog element. The dialog is modal while rendered, and then returns the focus. */
export function useModal() {
  const element = useRef(null);
  const returnTo = useRef(focusedElement());
  useLayoutEffect(() => {
    element.current.showModal();
    // Until the dialog is removed, the page behind it is inert and takes no focus.
    return () => queueMicrotask(() => {
      if (document.activeElement === document.body && returnTo.current?.isConnected) returnTo.current.focus();
    });
  }, []);
  return element;
}

/**
 * A modal dialog. `onClose` runs when Esc, the backdrop or the close button closes it. While `dirty`, closing asks
 * first. `children` may be a function of the close handler.
 */
/** @param {DialogProps} props */
export function Dialog({ id, title, wide = false, plain = false, role, dirty = false, onClose, children }) {
  const element = useModal();
  const field = useRef(null);
  const [asking, setAsking] = useState(false);
  const leave = () => {
    onClose?.();
    closeDialog(id);
  };
  const close = () => (dirty ? setAsking(true) : leave());
  useLayoutEffect(() => {
    if (!asking) field.current?.focus();
  }, [asking]);
  const onFocusIn = (/** @type {UiEvent} */ { target }) => {
    if (!target.closest(".discard") && target !== element.current) field.current = target;
  };
  const onKeyDown = onKeys((event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    if (asking) setAsking(false);
    else close();
  });
  const onCancel = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    close();
  };
  // Browsers let a page prevent closing only once. Show the dialog again, with the question.
  const onClosed = () => {
    if (!element.current?.isConnected) return;
    if (dirty) element.current.showModal();
    close();
  };
  const onBackdrop = (/** @type {UiEvent} */ event) => event.target === element.current && close();
  return html`<dialog ref=${element} class=${cx("dialog", wide && "wide", plain && "plain")} role=${role}
      aria-label=${title} onKeyDown=${onKeyDown} onCancel=${onCancel} onClose=${onClosed} onMouseDown=${onBackdrop}
      onFocusIn=${onFocusIn} data-testid="dialog">
    ${!plain && html`<header class="dialog-head">
      <h2>${title}</h2>
      <button type="button" class="quiet icon-button" aria-label="Close" onClick=${close}>
        <${Icon} name="close" />
      </button>
    </header>`}
    ${typeof children === "function" ? children(close) : children}
    ${asking && html`<${Discard} onKeep=${() => setAsking(false)} onDiscard=${leave} />`}
  </dialog>`;
}

export function Confirm(/** @type {ConfirmProps} */ { id, title, body, list = [], confirm, danger, answer }) {
  const settle = (/** @type {boolean} */ yes) => {
    answer(yes);
    closeDialog(id);
  };
  return html`<${Dialog} id=${id} title=${title} role="alertdialog" onClose=${() => answer(false)}>
    <div class="dialog-body">
      <p>${body}</p>
      ${list.length > 0 && html`<ul class="plain-list">
        ${list.map((line) => html`<li key=${line} dir="auto">${line}</li>`)}
      </ul>`}
    </div>
    <footer class="dialog-foot">
      <button type="button" onClick=${() => settle(false)} autofocus>Cancel</button>
      <button type="button" class=${danger ? "danger" : "primary"} onClick=${() => settle(true)} data-testid="confirm">
        ${confirm}
      </button>
    </footer>
  <//>`;
}
