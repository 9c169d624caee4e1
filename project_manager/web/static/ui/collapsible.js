// Collapses long content until the user expands it.
import { cx, html, useRef, useSizes, useState } from "../core/html.js";

const LINES = 12;
// Hiding fewer lines than this is not worth a button.
const SPARE_LINES = 3;

function isLong(/** @type {HTMLElement} */ content) {
  const line = parseFloat(getComputedStyle(content).lineHeight) || 20;
  return content.offsetHeight > (LINES + SPARE_LINES) * line;
}

export function Collapsible(/** @type {{ children: any }} */ { children }) {
  const content = useRef(null);
  const frame = useRef(null);
  const [long, setLong] = useState(false);
  const [open, setOpen] = useState(false);
  useSizes(content, (element) => setLong(isLong(element)));
  const folded = long && !open;
  // Expand when a hidden link takes the focus.
  const onFocusIn = (/** @type {UiEvent} */ { target }) => {
    if (folded && target.getBoundingClientRect().bottom > frame.current.getBoundingClientRect().bottom) setOpen(true);
  };
  return html`<div class="fold">
    <div ref=${frame} class=${cx("fold-frame", folded && "folded")} onFocusIn=${onFocusIn} data-testid="fold">
      <div ref=${content}>${children}</div>
    </div>
    ${long && html`<button type="button" class="quiet small" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${open ? "Show less" : "Show all"}
    </button>`}
  </div>`;
}
