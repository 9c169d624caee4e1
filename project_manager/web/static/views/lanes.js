// The last hour of each agent as a lane: what it held, and how each lease ended.
import { serverNow, useNow } from "../core/clock.js";
import { complain } from "../core/ask.js";
import { hourAndMinute } from "../core/format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../core/html.js";
import { follow, hrefOf } from "../core/route.js";
import { state, useStore } from "../core/store.js";
import { loadHistory } from "../core/sync.js";

const HOUR = 3_600_000;
const ROW = 22;
const WIDEST_NAME = 170;
const NAME_SHARE = 0.3;
const LETTER = 7.2;
const NARROW = 480;
const SLIMMEST = 3;
const LANES_SHOWN = 12;

const OUTCOMES = { lock_expired: "lost", forced: "lost", deleted: "lost", explicit_release: "given", auto_release: "done" };

/** Leases as intervals per agent, from the events at hand. */
export function intervals(events, running, from, now) {
  const open = new Map();
  const lanes = new Map();
  const close = (id, until, outcome) => {
    const lease = open.get(id);
    if (!lease) return;
    open.delete(id);
    if (until < from) return;
    if (!lanes.has(lease.agent)) lanes.set(lease.agent, []);
    lanes.get(lease.agent).push({ ...lease, until, outcome });
  };
  for (const event of events) {
    const at = Date.parse(event.timestamp);
    if (event.type === "task.locked" && !event.renewed) open.set(event.task_id, { task: event.task_id, agent: event.agent_id, since: at });
    else if (event.type === "task.unlocked") close(event.task_id, at, OUTCOMES[event.reason] ?? "done");
    else if (event.type === "task.deleted") close(event.task_id, at, "lost");
  }
  for (const task of running) open.set(task.id, { task: task.id, agent: task.lock.holder, since: Date.parse(task.lock.acquired_at) });
  for (const id of [...open.keys()]) close(id, now, "running");
  return lanes;
}

/** The drawing has the pixels of its frame, so that its text keeps its size and "now" is always in sight. */
function useScale(frame) {
  const [width, setWidth] = useState(1000);
  useLayoutEffect(() => {
    const look = () => setWidth(Math.max(200, Math.round(frame.current.clientWidth)));
    const sizes = new ResizeObserver(look);
    sizes.observe(frame.current);
    look();
    return () => sizes.disconnect();
  }, []);
  const begin = Math.min(WIDEST_NAME, Math.round(width * NAME_SHARE));
  return { width, begin, x: (share) => begin + share * (width - begin), letters: Math.floor(begin / LETTER), narrow: width < NARROW };
}

function Bar({ lease, from, y, scale }) {
  const x = (at) => scale.x(Math.max(0, at - from) / HOUR);
  const begin = Math.min(x(lease.since), scale.width - SLIMMEST);
  const width = Math.max(SLIMMEST, x(lease.until) - begin);
  const name = state.tasks.get(lease.task)?.name ?? "";
  const words = { running: "in progress", done: "finished", given: "given back", lost: "lease lost" };
  return html`<a href=${hrefOf({ task: lease.task })} tabindex="-1" onClick=${(event) => follow(event, { task: lease.task })}>
    <rect class=${`lane-bar ${lease.outcome}`} x=${begin} y=${y + 4} width=${width} height=${ROW - 8} rx="4"><title>#${lease.task} ${name}: ${words[lease.outcome]}</title></rect></a>`;
}

const lastOf = ([, leases]) => Math.max(...leases.map((lease) => lease.until));

function Times({ from, height, scale }) {
  return (scale.narrow ? [0, 30, 60] : [0, 15, 30, 45, 60]).map((minute) => html`<g key=${minute}><line class="lane-grid" x1=${scale.x(minute / 60)} x2=${scale.x(minute / 60)} y1="0" y2=${height - 18} />
    <text class="lane-time" x=${scale.x(minute / 60)} y=${height - 5} text-anchor=${minute === 60 ? "end" : minute ? "middle" : "start"}>${minute === 60 ? "now" : hourAndMinute(from + minute * 60_000)}</text></g>`);
}

const clip = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

/** Leases of the last hour as [[agent, leases]], the agent seen last first. */
function useLanes(from) {
  const revision = useStore((store) => store.revision.events);
  useStore((store) => store.revision.tasks);
  const running = state.columns.IN_PROGRESS.filter((task) => task.lock);
  return useMemo(() => [...intervals(state.events, running, from, from + HOUR)].sort((a, b) => lastOf(b) - lastOf(a)), [revision, from, running.length]);
}

function Drawing({ lanes, from }) {
  const frame = useRef(null);
  const scale = useScale(frame);
  const rows = lanes.slice(0, LANES_SHOWN);
  const height = rows.length * ROW + 24;
  return html`<figure class="lanes" aria-label="Leases of the last hour, one lane an agent">
    <div ref=${frame}><svg viewBox=${`0 0 ${scale.width} ${height}`} role="group" aria-label="Leases of the last hour" data-testid="lanes">
      <${Times} from=${from} height=${height} scale=${scale} />
      ${rows.map(([agent, leases], row) => html`<g key=${agent}><text class="lane-name" x="0" y=${row * ROW + 15}><title>${agent}</title>${clip(agent, scale.letters)}</text>${leases.map((lease) => html`<${Bar} key=${`${lease.task}-${lease.since}`} lease=${lease} from=${from} y=${row * ROW} scale=${scale} />`)}</g>`)}
    </svg></div>
    <figcaption class="lane-key"><span class="running">in progress</span><span class="done">finished</span><span class="given">given back</span><span class="lost">lost</span>${lanes.length > LANES_SHOWN && html`<i>the ${LANES_SHOWN} seen last of ${lanes.length}</i>`}</figcaption>
  </figure>`;
}

export function Lanes() {
  const now = useNow(10);
  useEffect(() => {
    loadHistory(500).catch(complain);
  }, []);
  const from = Math.max(now, serverNow() - 1000) - HOUR;
  const lanes = useLanes(from);
  return lanes.length ? html`<${Drawing} lanes=${lanes} from=${from} />` : null;
}
