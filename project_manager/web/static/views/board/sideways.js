// A horizontal scroller with a shade and a scroll button at each side that has more content.
import { html, useRef, useSizes, useState } from "../../core/html.js";
import { Icon } from "../../ui/icons.js";

const NOWHERE = { start: false, end: false };

/** Return whether there is content beyond each side of the scroller. */
function useBeyond(/** @type {Ref} */ scroller) {
  const [beyond, setBeyond] = useState(NOWHERE);
  useSizes(scroller, (element) => {
    const start = element.scrollLeft > 1;
    const end = element.scrollLeft + element.clientWidth < element.scrollWidth - 1;
    setBeyond((old) => (old.start === start && old.end === end ? old : { start, end }));
  }, (element) => element.children);
  return beyond;
}

/** The button stays in the page when hidden: removing it could take the focus from the row. */
function Edge(/** @type {{ side: "start" | "end", shown: boolean, onClick: () => void }} */ { side, shown, onClick }) {
  return html`<div class=${`board-edge ${side}`} hidden=${!shown}>
    <button type="button" class="icon-button"
        aria-label=${side === "end" ? "Columns further right" : "Columns further left"} onClick=${onClick}
        data-testid=${`edge-${side}`}><${Icon} name="chevron" /></button>
  </div>`;
}

export function Sideways(/** @type {{ children: any }} */ { children }) {
  const scroller = useRef(null);
  const { start, end } = useBeyond(scroller);
  const go = (/** @type {number} */ direction) =>
    () => scroller.current.scrollBy({ left: direction * scroller.current.clientWidth * 0.7 });
  return html`<div class="columns-frame">
    <${Edge} side="start" shown=${start} onClick=${go(-1)} />
    <div class="columns" ref=${scroller}>${children}</div>
    <${Edge} side="end" shown=${end} onClick=${go(1)} />
  </div>`;
}
