// A button with a panel below it. The browser closes the panel on an outside press and returns the focus.
import { atOnce, cx, html, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { Icon } from "./icons.js";

const GAP = 4;
const WIDTH = 352;

/** Put the panel below its button, within the window. A small window shows it at its lower edge, by its style sheet. */
function place(/** @type {HTMLElement} */ panel, /** @type {HTMLElement} */ button) {
  const { left, right, bottom } = button.getBoundingClientRect();
  const fromEnd = left + WIDTH > innerWidth;
  panel.style.top = `${bottom + GAP}px`;
  panel.style.maxHeight = `${innerHeight - bottom - 3 * GAP}px`;
  panel.style.left = fromEnd ? "auto" : `${left}px`;
  panel.style.right = fromEnd ? `${Math.max(GAP, innerWidth - right)}px` : "auto";
}

/** `children` returns the contents while the panel is open. It gets a function that closes the panel. */
/** @param {PopoverProps} props */
export function Popover({ id, icon, name, label, active = false, count = 0, mark = "", testid, children }) {
  const panel = useRef(null);
  const button = useRef(null);
  const [open, setOpen] = useState(false);
  const close = () => panel.current?.hidePopover();
  const onBeforeToggle = (/** @type {ToggleEvent} */ event) => {
    if (event.newState !== "open") return;
    place(panel.current, button.current);
    atOnce(() => setOpen(true));
  };
  const onToggle = (/** @type {ToggleEvent} */ event) => event.newState === "closed" && setOpen(false);
  const onKeyDown = onKeys((event) => {
    if (event.key !== "Escape" || !open) return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  return html`<div class="popover" onKeyDown=${onKeyDown}>
    <button type="button" ref=${button} class=${cx("popover-button", active && "active")} popovertarget=${id}
        aria-label=${label} aria-expanded=${open} title=${label} data-testid=${testid}>
      <${Icon} name=${icon} />
      <span class="clip" dir="auto">${name}</span>
      ${mark && html`<span class="muted">${mark}</span>`}
      ${count > 0 && html`<span class="badge">${count}</span>`}
    </button>
    <div id=${id} class="popover-panel" popover="auto" role="group" aria-label=${label} ref=${panel}
        onBeforeToggle=${onBeforeToggle} onToggle=${onToggle}>${open && children(close)}</div>
  </div>`;
}
