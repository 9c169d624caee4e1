// The leases of the last hour, one lane for each agent, with the outcome of each lease.
import { serverNow, useNow } from "../../core/clock.js";
import { bidiIsolate, hourAndMinute, truncate } from "../../core/format.js";
import { html, useRef, useSizes, useState } from "../../core/html.js";
import { OUTCOME_NAMES, endOf, useLeases } from "../../state/leases.js";
import { follow, hrefOf } from "../../state/route.js";
import { TaskLink } from "../../ui/chips.js";

const HOUR = 3_600_000;
const ROW = 22;
const WIDEST_NAME = 170;
const NAME_SHARE = 0.3;
const LETTER = 7.2;
const NARROW = 480;
const MIN_BAR_WIDTH = 3;
const LANES_SHOWN = 12;
const ROWS_LISTED = 200;
// Shorter gaps than this are the ordinary pace of events.
const SLACK_MS = 15_000;

// Outcomes that the agent did not choose are hatched, because colour must not be the only difference.
const HATCHED = new Set(["failed", "expired", "unconfirmed", "forced", "stopped", "deleted", "unknown"]);
const UNKNOWN = "unknown";
/** @type {Record<string, string>} */
const NAMES = { ...OUTCOME_NAMES, [UNKNOWN]: "unknown" };

/** Return leases as bars per agent: [[agent, bars]], the latest lease first. A running lease ends at `until`. */
function lanesOf(/** @type {LeaseView[]} */ leases, /** @type {number} */ from, /** @type {number} */ until) {
  /** @type {Map<string, LaneBar[]>} */
  const lanes = new Map();
  for (const lease of leases) {
    const bar = {
      key: `${lease.task_id}:${lease.fence}`,
      task: lease.task_id,
      name: lease.task_name,
      since: Date.parse(lease.acquired_at),
      until: lease.ended_at ? Date.parse(lease.ended_at) : until,
      end: endOf(lease),
    };
    if (bar.until < from) continue;
    lanes.set(lease.agent_id, [...(lanes.get(lease.agent_id) ?? []), bar]);
  }
  const last = (/** @type {Lane} */ [, bars]) => bars.reduce((latest, bar) => Math.max(latest, bar.until), from);
  return [...lanes].sort((a, b) => last(b) - last(a) || (a[0] < b[0] ? -1 : 1));
}

/** Return the scale of the drawing. One unit is one pixel, so that text keeps its size and "now" stays visible. */
function useScale(/** @type {Ref} */ frame) {
  const [width, setWidth] = useState(1000);
  useSizes(frame, (element) => setWidth(Math.max(200, Math.round(element.clientWidth))));
  const begin = Math.min(WIDEST_NAME, Math.round(width * NAME_SHARE));
  return {
    width,
    begin,
    x: (/** @type {number} */ share) => begin + share * (width - begin),
    letters: Math.floor(begin / LETTER),
    narrow: width < NARROW,
  };
}

const hatch = (/** @type {string} */ end) => `hatch-${end}`;
const fillOf = (/** @type {string} */ end) => (HATCHED.has(end) ? `url(#${hatch(end)})` : undefined);

/** The hatch patterns, once in the page. The drawing and its legend share them. */
function Hatches() {
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

const spanOf = (/** @type {LaneBar} */ bar) =>
  `${hourAndMinute(bar.since)} to ${bar.end === "running" ? "now" : hourAndMinute(bar.until)}`;

function Bar(/** @type {{ bar: LaneBar, from: number, y: number, scale: LaneScale }} */ { bar, from, y, scale }) {
  const x = (/** @type {number} */ at) => scale.x(Math.max(0, at - from) / HOUR);
  const begin = Math.min(x(bar.since), scale.width - MIN_BAR_WIDTH);
  const width = Math.max(MIN_BAR_WIDTH, x(bar.until) - begin);
  return html`<a href=${hrefOf({ task: bar.task })} tabindex="-1"
      onClick=${(event) => follow(event, { task: bar.task })}>
    <rect class=${`lane-bar ${bar.end}`} fill=${fillOf(bar.end)} x=${begin} y=${y + 4} width=${width} height=${ROW - 8}
        rx="4"><title>#${bar.task} ${bidiIsolate(bar.name)}: ${NAMES[bar.end]}, ${spanOf(bar)}</title></rect>
  </a>`;
}

function Times(/** @type {{ from: number, height: number, scale: LaneScale }} */ { from, height, scale }) {
  const minutes = scale.narrow ? [0, 30, 60] : [0, 15, 30, 45, 60];
  return minutes.map((minute) => html`<g key=${minute}>
    <line class="lane-grid" x1=${scale.x(minute / 60)} x2=${scale.x(minute / 60)} y1="0" y2=${height - 18} />
    <text class="lane-time" x=${scale.x(minute / 60)} y=${height - 5}
        text-anchor=${minute === 60 ? "end" : minute ? "middle" : "start"}>
      ${minute === 60 ? "now" : hourAndMinute(from + minute * 60_000)}
    </text>
  </g>`);
}

function Unknown(/** @type {UnknownProps} */ { from, until, height, scale }) {
  const begin = scale.x(Math.max(0, (until ?? from) - from) / HOUR);
  return html`<rect class="lane-unknown" fill=${fillOf(UNKNOWN)} x=${begin} y="0"
      width=${Math.max(0, scale.width - begin)} height=${height - 18} data-testid="lane-unknown">
    <title>No data for this period.</title>
  </rect>`;
}

function Legend(/** @type {{ ends: Set<string>, more: any }} */ { ends, more }) {
  return html`<figcaption class="lane-key" data-testid="lane-key">
    ${Object.keys(NAMES).filter((end) => ends.has(end)).map((end) => html`<span key=${end}>
      <svg class="lane-swatch" width="12" height="10" aria-hidden="true">
        <rect class=${end === UNKNOWN ? "lane-unknown" : `lane-bar ${end}`} fill=${fillOf(end)} width="12" height="10"
            rx="3" />
      </svg>
      ${NAMES[end]}
    </span>`)}
    ${more}
  </figcaption>`;
}

/** The leases of the drawing as a table. */
function AsList(/** @type {{ lanes: Lane[] }} */ { lanes }) {
  const [open, setOpen] = useState(false);
  const rows = open
    ? lanes.flatMap(([agent, bars]) => [...bars].sort((a, b) => b.since - a.since).map((bar) => ({ agent, bar })))
    : [];
  return html`<details class="lane-list" data-testid="lane-list" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>As a list</summary>
    ${open && html`<div class="table-wrap" tabindex="0" role="group" aria-label="Leases of the last hour">
      <table>
        <thead>
          <tr><th scope="col">Agent</th><th scope="col">Task</th><th scope="col">Time</th><th scope="col">End</th></tr>
        </thead>
        <tbody>
          ${rows.slice(0, ROWS_LISTED).map(({ agent, bar }) => html`<tr key=${`${agent} ${bar.key}`}>
            <td><bdi>${agent}</bdi></td>
            <td><${TaskLink} id=${bar.task} name=${bar.name} bare /></td>
            <td>${spanOf(bar)}</td>
            <td>${NAMES[bar.end]}</td>
          </tr>`)}
        </tbody>
      </table>
    </div>
      ${rows.length > ROWS_LISTED && html`<p class="muted">and ${rows.length - ROWS_LISTED} more</p>`}`}
  </details>`;
}

function Drawing(/** @type {{ lanes: Lane[], from: number, until: number | null }} */ { lanes, from, until }) {
  const frame = useRef(null);
  const scale = useScale(frame);
  const rows = lanes.slice(0, LANES_SHOWN);
  const height = Math.max(1, rows.length) * ROW + 24;
  const behind = until === null || from + HOUR - until > SLACK_MS;
  const ends = new Set([...rows.flatMap(([, bars]) => bars.map((bar) => bar.end)), ...(behind ? [UNKNOWN] : [])]);
  return html`<figure class="lanes" aria-label="Leases of the last hour, one lane for each agent">
    <${Hatches} />
    <div ref=${frame}>
      <svg viewBox=${`0 0 ${scale.width} ${height}`} role="group" aria-label="Leases of the last hour"
          data-testid="lanes">
        <${Times} from=${from} height=${height} scale=${scale} />
        ${behind && html`<${Unknown} from=${from} until=${until} height=${height} scale=${scale} />`}
        ${rows.map(([agent, bars], row) => html`<g key=${agent}>
          <text class="lane-name" x="0" y=${row * ROW + 15}>
            <title>${agent}</title>
            ${truncate(agent, scale.letters)}
          </text>
          ${bars.map((bar) => html`<${Bar} key=${bar.key} bar=${bar} from=${from} y=${row * ROW} scale=${scale} />`)}
        </g>`)}
      </svg>
    </div>
    <${Legend} ends=${ends}
        more=${lanes.length > LANES_SHOWN && html`<i>the ${LANES_SHOWN} latest of ${lanes.length} agents</i>`} />
    <${AsList} lanes=${lanes} />
  </figure>`;
}

export function Lanes() {
  const now = useNow(10);
  const from = Math.max(now, serverNow() - 1000) - HOUR;
  const { leases, until } = useLeases(from);
  const lanes = lanesOf(leases, from, until ?? from);
  return lanes.length || until === null ? html`<${Drawing} lanes=${lanes} from=${from} until=${until} />` : null;
}
