// Links that choose the time range of a view.
import { html } from "../core/html.js";
import { follow, hrefOf } from "../state/route.js";

/**
 * The ranges by their value of `range` in the address, and the present one. The address omits the `usual` range.
 * @param {{ ranges: Record<string, { name: string, words: string }>, range: string, usual: string }} props
 */
export function RangeLinks({ ranges, range, usual }) {
  const target = (/** @type {string} */ key) => ({ range: key === usual ? null : key });
  return html`<div class="ranges" role="group" aria-label="Time range">
    ${Object.entries(ranges).map(([key, { name, words }]) => html`<a key=${key} class="range"
        title=${`The last ${words}`} href=${hrefOf(target(key))} aria-current=${key === range ? "true" : undefined}
        onClick=${(/** @type {MouseEvent} */ event) => follow(event, target(key))}
        data-testid=${`range-${key}`}>${name}</a>`)}
  </div>`;
}
