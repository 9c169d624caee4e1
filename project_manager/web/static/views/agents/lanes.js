// The leases of the last hour, one lane for each agent, with the outcome of each lease.
import { serverNow, useNow } from "../../core/clock.js";
import { HOUR, MINUTE, bidiIsolate, hourAndMinute, truncate } from "../../core/format.js";
import { html, useRef } from "../../core/html.js";
import { pageOf } from "../../state/agents.js";
import { useLeases } from "../../state/leases.js";
import { follow, hrefOf } from "../../state/route.js";
import { state } from "../../state/store.js";
import {
  AsList, BEFORE, Blank, Hatches, Legend, NAMES, UNKNOWN, barOf, fillOf, spanOf, useWidth,
} from "./bars.js";
import { MIN_BAR_WIDTH } from "./spans.js";

const ROW = 22;
const WIDEST_NAME = 170;
const NAME_SHARE = 0.3;
const LETTER = 7.2;
const NARROW = 480;
const LANES_SHOWN = 12;
// Shorter gaps than this are the ordinary pace of events.
const SLACK_MS = 15_000;

/** Return leases as bars per agent: [[agent, bars]], the latest lease first. A running lease ends at `until`. */
function lanesOf(/** @type {LeaseView[]} */ leases, /** @type {number} */ from, /** @type {number} */ until) {
  /** @type {Map<string, LaneBar[]>} */
  const lanes = new Map();
  for (const lease of leases) {
    const bar = barOf(lease, until);
    if (bar.until < from) continue;
    lanes.set(lease.agent_id, [...(lanes.get(lease.agent_id) ?? []), bar]);
  }
  const last = (/** @type {Lane} */ [, bars]) => bars.reduce((latest, bar) => Math.max(latest, bar.until), from);
  return [...lanes].sort((a, b) => last(b) - last(a) || (a[0] < b[0] ? -1 : 1));
}

function useScale(/** @type {Ref} */ frame) {
  const width = useWidth(frame);
  const begin = Math.min(WIDEST_NAME, Math.round(width * NAME_SHARE));
  return {
    width,
    begin,
    x: (/** @type {number} */ share) => begin + share * (width - begin),
    letters: Math.floor(begin / LETTER),
    narrow: width < NARROW,
  };
}

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
      ${minute === 60 ? "now" : hourAndMinute(from + minute * MINUTE)}
    </text>
  </g>`);
}

/** The name of a lane, as a link to the page of the agent. Its card below has the same link for the keyboard. */
function Name(/** @type {{ agent: string, y: number, letters: number }} */ { agent, y, letters }) {
  const changes = pageOf(agent);
  return html`<a href=${hrefOf(changes)} tabindex="-1" onClick=${(event) => follow(event, changes)}>
    <text class="lane-name" x="0" y=${y + 15}><title>${agent}</title>${truncate(agent, letters)}</text>
  </a>`;
}

/** Return the time of the first call of an agent in milliseconds, or 0 for an unknown agent. */
const firstSeen = (/** @type {string} */ agent) => Date.parse(state.agents.get(agent)?.first_seen ?? "") || 0;

/** The time before the first call of an agent. */
function BeforeFirst(/** @type {{ agent: string, from: number, y: number, scale: LaneScale }} */ props) {
  const { agent, from, y, scale } = props;
  const first = firstSeen(agent);
  if (first <= from) return null;
  return html`<${Blank} kind=${BEFORE} x=${scale.x(0)} end=${scale.x(Math.min(1, (first - from) / HOUR))} y=${y + 8}
      height=${ROW - 16} title="Before its first call." />`;
}

/** Return the latest lanes in the order of the agents on the page. */
function inOrder(/** @type {Lane[]} */ lanes, /** @type {string[]} */ order) {
  const places = new Map(order.map((agent, place) => [agent, place]));
  const placeOf = (/** @type {Lane} */ [agent]) => places.get(agent) ?? order.length;
  return lanes.slice(0, LANES_SHOWN).sort((a, b) => placeOf(a) - placeOf(b));
}

/** @param {{ lanes: Lane[], order: string[], from: number, until: number | null }} props */
function Drawing({ lanes, order, from, until }) {
  const frame = useRef(null);
  const scale = useScale(frame);
  const rows = inOrder(lanes, order);
  const height = Math.max(1, rows.length) * ROW + 24;
  const behind = until === null || from + HOUR - until > SLACK_MS;
  const ends = new Set(rows.flatMap(([, bars]) => bars.map((bar) => bar.end)));
  if (behind) ends.add(UNKNOWN);
  if (rows.some(([agent]) => firstSeen(agent) > from)) ends.add(BEFORE);
  return html`<figure class="lanes" aria-label="Leases of the last hour, one lane for each agent">
    <${Hatches} />
    <div ref=${frame}>
      <svg viewBox=${`0 0 ${scale.width} ${height}`} role="group" aria-label="Leases of the last hour"
          data-testid="lanes">
        <${Times} from=${from} height=${height} scale=${scale} />
        ${behind && html`<${Blank} kind=${UNKNOWN} x=${scale.x(Math.max(0, (until ?? from) - from) / HOUR)}
            end=${scale.width} height=${height - 18} title="No data for this period." />`}
        ${rows.map(([agent, bars], row) => html`<g key=${agent}>
          <${Name} agent=${agent} y=${row * ROW} letters=${scale.letters} />
          <${BeforeFirst} agent=${agent} from=${from} y=${row * ROW} scale=${scale} />
          ${bars.map((bar) => html`<${Bar} key=${bar.key} bar=${bar} from=${from} y=${row * ROW} scale=${scale} />`)}
        </g>`)}
      </svg>
    </div>
    <${Legend} ends=${ends}
        more=${lanes.length > LANES_SHOWN && html`<i>the ${LANES_SHOWN} latest of ${lanes.length} agents</i>`} />
    <${AsList} lanes=${lanes} label="Leases of the last hour" />
  </figure>`;
}

/** The lanes of the agents of the last hour, in the given order of agents. */
export function Lanes(/** @type {{ order: string[] }} */ { order }) {
  const now = useNow(10);
  const from = Math.max(now, serverNow() - 1000) - HOUR;
  const { leases, until } = useLeases(from);
  const lanes = lanesOf(leases, from, until ?? from);
  const isShown = lanes.length > 0 || until === null;
  return isShown && html`<${Drawing} lanes=${lanes} order=${order} from=${from} until=${until} />`;
}
