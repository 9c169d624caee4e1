// A modal dialog: the browser's own, which keeps the focus inside and the page behind it inert.
import { closeDialog } from "../core/ask.js";
import { cx, html, useLayoutEffect, useRef } from "../core/html.js";
import { Icon } from "./icons.js";

/** `onClose` is called however the dialog goes away by its own means (Esc, backdrop, close button). */
export function Dialog({ id, title, wide = false, plain = false, role, onClose, children }) {
  const element = useRef(null);
  const returnTo = useRef(document.activeElement);
  const close = () => {
    onClose?.();
    closeDialog(id);
  };
  useLayoutEffect(() => {
    element.current.showModal();
    return () => returnTo.current?.isConnected && returnTo.current.focus();
  }, []);
  const onCancel = (event) => {
    event.preventDefault();
    close();
  };
  const onBackdrop = (event) => event.target === element.current && close();
  return html`<dialog ref=${element} class=${cx("dialog", wide && "wide", plain && "plain")} role=${role} aria-label=${title} onCancel=${onCancel} onMouseDown=${onBackdrop} data-testid="dialog">
    ${!plain && html`<header class="dialog-head"><h2>${title}</h2><button type="button" class="quiet icon-button" aria-label="Close" onClick=${close}><${Icon} name="close" /></button></header>`}
    ${children}
  </dialog>`;
}

export function Confirm({ id, title, body, confirm, danger, answer }) {
  const settle = (yes) => {
    answer(yes);
    closeDialog(id);
  };
  return html`<${Dialog} id=${id} title=${title} role="alertdialog" onClose=${() => answer(false)}>
    <div class="dialog-body"><p>${body}</p></div>
    <footer class="dialog-foot">
      <button type="button" onClick=${() => settle(false)} autofocus>Cancel</button>
      <button type="button" class=${danger ? "danger" : "primary"} onClick=${() => settle(true)} data-testid="confirm">${confirm}</button>
    </footer>
  <//>`;
}
