// Leases as bars: their ends, colours, patterns, legend and list. The lanes and the timeline of an agent share them.
import { DAY, hourAndMinute, span, weekdayTime } from "../../core/format.js";
import { html, useSizes, useState } from "../../core/html.js";
import { OUTCOME_NAMES, endOf } from "../../state/leases.js";
import { TaskLink } from "../../ui/chips.js";

const ROWS_LISTED = 200;

// Outcomes that the agent did not choose are hatched, because colour must not be the only difference.
const HATCHED = new Set(["failed", "expired", "unconfirmed", "forced", "stopped", "deleted", "unknown"]);
export const UNKNOWN = "unknown";
export const BEFORE = "before";
/** @type {Record<string, string>} */
export const NAMES = { ...OUTCOME_NAMES, [UNKNOWN]: "unknown", [BEFORE]: "before the first call" };

/** Return a lease as a bar. A running one ends at `until`. */
export const barOf = (/** @type {LeaseView} */ lease, /** @type {number} */ until) => ({
  key: `${lease.task_id}:${lease.fence}`,
  task: lease.task_id,
  name: lease.task_name,
  since: Date.parse(lease.acquired_at),
  until: lease.ended_at ? Date.parse(lease.ended_at) : until,
  end: endOf(lease),
});

/** Return the width of the drawing. One unit is one pixel, so that text keeps its size and "now" stays visible. */
export function useWidth(/** @type {Ref} */ frame) {
  const [width, setWidth] = useState(1000);
  useSizes(frame, (element) => setWidth(Math.max(200, Math.round(element.clientWidth))));
  return width;
}

const hatch = (/** @type {string} */ end) => `hatch-${end}`;
export const fillOf = (/** @type {string} */ end) => (HATCHED.has(end) ? `url(#${hatch(end)})` : undefined);

/** The hatch patterns, once in the page. The drawing and its legend share them. */
export function Hatches() {
  return html`<svg class="hatches" aria-hidden="true" width="0" height="0">
    <defs>
      ${[...HATCHED].map((end) => html`<pattern key=${end} id=${hatch(end)} class=${`lane-hatch ${end}`} width="6"
          height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect class="hatch-ground" width="6" height="6" />
        <rect class="hatch-line" width="3" height="6" />
      </pattern>`)}
    </defs>
  </svg>`;
}

/** Return the format of the times in a range: with the weekday if it is longer than a day. */
export const timeFormat = (/** @type {number} */ length) => (length > DAY ? weekdayTime : hourAndMinute);

/** Return "10:02 to 10:06" or "10:02 to now". */
export const spanOf = (/** @type {LaneBar} */ bar, format = hourAndMinute) =>
  `${format(bar.since)} to ${bar.end === "running" ? "now" : format(bar.until)}`;

export const lengthOf = (/** @type {LaneBar} */ bar) => span(Math.max(0, bar.until - bar.since));

/** A time span of the drawing without data, from `x` to `end`. `kind` is UNKNOWN or BEFORE. */
export function Blank(/** @type {BlankProps} */ { kind, x, end, y = 0, height, title }) {
  return html`<rect class=${`lane-unknown ${kind}`} fill=${fillOf(kind)} x=${x} y=${y} width=${Math.max(0, end - x)}
      height=${height} data-testid=${`lane-${kind}`}><title>${title}</title></rect>`;
}

export function Legend(/** @type {{ ends: Set<string>, more?: any }} */ { ends, more }) {
  const isBlank = (/** @type {string} */ end) => end === UNKNOWN || end === BEFORE;
  return html`<figcaption class="lane-key" data-testid="lane-key">
    ${Object.keys(NAMES).filter((end) => ends.has(end)).map((end) => html`<span key=${end}>
      <svg class="lane-swatch" width="12" height="10" aria-hidden="true">
        <rect class=${`${isBlank(end) ? "lane-unknown" : "lane-bar"} ${end}`} fill=${fillOf(end)} width="12" height="10"
            rx="3" />
      </svg>
      ${NAMES[end]}
    </span>`)}
    ${more}
  </figcaption>`;
}

/** The leases of the drawing as a table, the newest first. `lanes` has them by agent. */
export function AsList(/** @type {{ lanes: Lane[], label: string, format?: (ms: number) => string }} */ props) {
  const { lanes, label, format = hourAndMinute } = props;
  const [open, setOpen] = useState(false);
  const rows = open
    ? lanes.flatMap(([agent, bars]) => [...bars].sort((a, b) => b.since - a.since).map((bar) => ({ agent, bar })))
    : [];
  return html`<details class="lane-list" data-testid="lane-list" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>As a list</summary>
    ${open && html`<div class="table-wrap" tabindex="0" role="group" aria-label=${label}>
      <table>
        <thead>
          <tr>
            <th scope="col">Agent</th><th scope="col">Task</th><th scope="col">Time</th>
            <th scope="col">Length</th><th scope="col">End</th>
          </tr>
        </thead>
        <tbody>
          ${rows.slice(0, ROWS_LISTED).map(({ agent, bar }) => html`<tr key=${`${agent} ${bar.key}`}>
            <td><bdi>${agent}</bdi></td>
            <td><${TaskLink} id=${bar.task} name=${bar.name} bare /></td>
            <td>${spanOf(bar, format)}</td>
            <td>${lengthOf(bar)}</td>
            <td>${NAMES[bar.end]}</td>
          </tr>`)}
        </tbody>
      </table>
    </div>
      ${rows.length > ROWS_LISTED && html`<p class="muted">and ${rows.length - ROWS_LISTED} more</p>`}`}
  </details>`;
}
