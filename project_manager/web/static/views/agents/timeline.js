// The leases of one agent over an hour, a day or a week, with the figures of that time.
import { useNow } from "../../core/clock.js";
import {
  DAY, HOUR, MINUTE, bidiIsolate, count, hourAndMinute, plural, span, weekday,
} from "../../core/format.js";
import { cx, html, useMemo, useRef, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { useAgentLeases, useHistoryStart } from "../../state/leases.js";
import { follow, hrefOf } from "../../state/route.js";
import { useStore } from "../../state/store.js";
import { RangeLinks } from "../../ui/range_links.js";
import {
  AsList, BEFORE, Blank, Hatches, Legend, NAMES, UNKNOWN, barOf, fillOf, lengthOf, spanOf, timeFormat, useWidth,
} from "./bars.js";
import { endsOf, figuresOf, groupsOf, rowsOf } from "./spans.js";

const ROW = 26;
const AXIS = 20;
const NARROW = 480;
// Shorter gaps than this are the ordinary pace of events.
const SLACK_MS = 15_000;

/** @type {Record<string, { name: string, words: string, length: number }>} The keys are values of `range`. */
export const RANGES = {
  "1h": { name: "1 h", words: "hour", length: HOUR },
  "24h": { name: "24 h", words: "24 hours", length: DAY },
  "7d": { name: "7 d", words: "7 days", length: 7 * DAY },
};
export const DEFAULT_RANGE = "24h";

/** Return the marks of the axis: [time, text]. Days begin at midnight, hours at the hour. */
function marksOf(/** @type {number} */ from, /** @type {number} */ length, /** @type {boolean} */ narrow) {
  const step = length <= HOUR ? (narrow ? 2 : 1) * 15 * MINUTE : length <= DAY ? (narrow ? 6 : 3) * HOUR : DAY;
  const zone = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const format = step === DAY ? weekday : hourAndMinute;
  /** @type {[at: number, text: string][]} */
  const marks = [];
  const skip = step === DAY && narrow ? 2 : 1;
  for (let at = first; at < from + length; at += step * skip) marks.push([at, format(at)]);
  return marks;
}

/** Return the words about a group of bars: of one lease, or of several that are too short to tell apart. */
function wordsOf(/** @type {LaneBar[]} */ bars, /** @type {(ms: number) => string} */ format) {
  const [bar] = bars;
  if (bars.length === 1) {
    return `#${bar.task} ${bidiIsolate(bar.name)}: ${NAMES[bar.end]}, ${lengthOf(bar)}, ${spanOf(bar, format)}`;
  }
  const ends = endsOf(bars).map(([end, number]) => `${count(number)} ${NAMES[end]}`).join(", ");
  const until = Math.max(...bars.map((one) => one.until));
  return `${count(bars.length)} leases, ${format(bar.since)} to ${format(until)}: ${ends}`;
}

/** The colours of a group: one bar, or the shares of its ends from top to bottom. */
function Fill(/** @type {{ group: BarGroup, y: number }} */ { group, y }) {
  const height = ROW - 8;
  const shares = endsOf(group.bars);
  let top = y + 4;
  return shares.map(([end, number]) => {
    const part = height * number / group.bars.length;
    top += part;
    return html`<rect key=${end} class=${`lane-bar ${end}`} fill=${fillOf(end)} x=${group.begin} y=${top - part}
        width=${group.width} height=${part} rx=${shares.length === 1 ? 4 : 0} />`;
  });
}

/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

/** Move the focus along the bars. Only one of them is in the order of the Tab key. */
function walk(/** @type {UiEvent} */ event, /** @type {Ref} */ frame) {
  const step = STEPS[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const bars = [...frame.current.querySelectorAll("[data-bar]")];
  const at = bars.indexOf(event.target.closest("[data-bar]"));
  if (at < 0) return;
  event.preventDefault();
  bars[Math.min(bars.length - 1, Math.max(0, at + step))].focus();
}

function Group(/** @type {BarGroupProps} */ { group, y, words, first, onShow }) {
  const [bar] = group.bars;
  const changes = { task: bar.task };
  const common = {
    "data-bar": "", tabindex: first ? 0 : -1, "aria-label": words, class: "span-bar",
    onFocus: () => onShow(words), onPointerEnter: () => onShow(words),
  };
  const fill = html`<${Fill} group=${group} y=${y} />`;
  return group.bars.length > 1
    ? html`<g role="img" ...${common}>${fill}</g>`
    : html`<a href=${hrefOf(changes)} ...${common} onClick=${(event) => follow(event, changes)}>${fill}</a>`;
}

function Drawing(/** @type {TimelineProps} */ { agent, bars, from, length, known, until, first, words }) {
  const frame = useRef(null);
  const width = useWidth(frame);
  const [shown, setShown] = useState("");
  const format = timeFormat(length);
  const x = (/** @type {number} */ at) => (at - from) / length * width;
  const rows = useMemo(() => rowsOf(bars), [bars]);
  const groups = rows.map((row) => groupsOf(row, x, width));
  const height = Math.max(1, rows.length) * ROW;
  const isBehind = until === null || from + length - until > SLACK_MS;
  const beforeFirst = Math.min(Math.max(first, from), from + length);
  const ends = new Set(bars.map((bar) => bar.end));
  if (isBehind || known > beforeFirst) ends.add(UNKNOWN);
  if (beforeFirst > from) ends.add(BEFORE);
  return html`<figure class="timeline" aria-label=${`Leases of ${bidiIsolate(agent)} in ${words}`}>
    <${Hatches} />
    <div ref=${frame} onKeyDown=${onKeys((event) => walk(event, frame))} onPointerLeave=${() => setShown("")}>
      <svg viewBox=${`0 0 ${width} ${height + AXIS}`} width=${width} height=${height + AXIS} role="group"
          aria-label=${`Leases in ${words}, ${count(bars.length)}`} data-testid="timeline">
        ${marksOf(from, length, width < NARROW).map(([at, text]) => html`<g key=${at}>
          <line class="lane-grid" x1=${x(at)} x2=${x(at)} y1="0" y2=${height} />
          ${x(at) > 24 && x(at) < width - 60 && html`<text class="lane-time" x=${x(at)} y=${height + 14}
              text-anchor="middle">${text}</text>`}
        </g>`)}
        <text class="lane-time" x=${width} y=${height + 14} text-anchor="end">now</text>
        ${beforeFirst > from && html`<${Blank} kind=${BEFORE} x=${0} end=${x(beforeFirst)} height=${height}
            title="Before its first call." />`}
        ${known > beforeFirst && html`<${Blank} kind=${UNKNOWN} x=${x(beforeFirst)} end=${x(known)} height=${height}
            title="No data for this period." />`}
        ${isBehind && html`<${Blank} kind=${UNKNOWN} x=${x(Math.max(known, until ?? known))} end=${width}
            height=${height} title="No data for this period." />`}
        ${groups.map((row, number) => row.map((group, index) => html`<${Group} key=${group.bars[0].key} group=${group}
            y=${number * ROW} words=${wordsOf(group.bars, format)} first=${number === 0 && index === row.length - 1}
            onShow=${setShown} />`))}
      </svg>
    </div>
    <p class="span-words" aria-hidden="true" data-testid="span-words">
      ${shown || (bars.length > 0 && "Point at a bar, or press Tab and the arrow keys, for its task.")}
    </p>
    <${Legend} ends=${ends} />
    <${AsList} lanes=${[[agent, bars]]} label=${`Leases of ${words}`} format=${format} />
  </figure>`;
}

function Figure(/** @type {{ name: string, value: any, tone?: string, title?: string }} */ props) {
  const { name, value, tone, title } = props;
  return html`<div class=${cx("figure", tone)} title=${title} data-testid=${`figure-${name.toLowerCase()}`}>
    <dt>${name}</dt><dd>${value}</dd>
  </div>`;
}

const lengthWords = (/** @type {number | null} */ ms) => (ms === null ? "–" : span(ms));

/** The figures of the range. `known` is the time from which all leases were read. */
function Figures(/** @type {{ bars: LaneBar[], from: number, known: number, now: number }} */ props) {
  const { bars, from, known, now } = props;
  const figures = useMemo(() => figuresOf(bars, Math.max(from, known)), [bars]);
  const share = Math.round(100 * Math.min(1, figures.busy / Math.max(1, now - Math.max(from, known))));
  return html`<dl class="figures" data-testid="figures">
    <${Figure} name="Done" value=${count(figures.done)} tone="good" />
    <${Figure} name="Review" value=${count(figures.review)} title="Leases that ended with a submission" />
    <${Figure} name="Failed" value=${count(figures.failed)} tone=${figures.failed ? "bad" : ""}
        title="Released as failed" />
    <${Figure} name="Expired" value=${count(figures.expired)} tone=${figures.expired ? "bad" : ""}
        title="Expired, or never confirmed" />
    <${Figure} name="Other" value=${count(figures.other)}
        title="Released, blocked, cancelled, stopped, ended by force, or its task deleted" />
    <${Figure} name="Lease" value=${lengthWords(figures.perLease)} title="Median length of a lease" />
    <${Figure} name="Task" value=${lengthWords(figures.perTask)} title="Median time per task, over all its leases" />
    <${Figure} name="Busy" value=${`${share} %`} title=${`${span(figures.busy)} with a task`} />
  </dl>`;
}

export function Timeline(/** @type {{ agent: AgentView }} */ { agent }) {
  const range = useStore((now) => (Object.hasOwn(RANGES, now.route.range ?? "") ? now.route.range : DEFAULT_RANGE));
  const { length, words } = RANGES[range ?? DEFAULT_RANGE];
  const now = useNow(length <= HOUR ? 10 : 60);
  const { leases, from: read, until, whole, number } = useAgentLeases(agent.id, length);
  const start = useHistoryStart();
  const from = now - length;
  // Of a lease that ended before the first event, nothing is kept.
  const known = Math.max(read, Math.min(start, now));
  const first = Date.parse(agent.first_seen);
  const bars = useMemo(
    () => leases.map((lease) => barOf(lease, until ?? now)).filter((bar) => bar.until >= from),
    [agent.id, number, now, length],
  );
  return html`<section class="agent-part" aria-labelledby="agent-timeline">
    <div class="part-head">
      <h2 id="agent-timeline">Timeline</h2>
      <span class="push"></span>
      <${RangeLinks} ranges=${RANGES} range=${range ?? DEFAULT_RANGE} usual=${DEFAULT_RANGE} />
    </div>
    <${Figures} bars=${bars} from=${Math.max(from, first)} known=${known} now=${now} />
    ${until !== null && !whole && html`<p class="muted" data-testid="part-read">
      These figures are of the newest ${plural(leases.length, "lease")} only.
    </p>`}
    <${Drawing} agent=${agent.id} bars=${bars} from=${from} length=${length} known=${known} until=${until}
        first=${first} words=${`the last ${words}`} />
  </section>`;
}
