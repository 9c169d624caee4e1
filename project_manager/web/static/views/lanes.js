// The last hour of each agent as a lane: what it held, and how each lease ended.
import { serverNow, useNow } from "../core/clock.js";
import { complain } from "../core/ask.js";
import { hourAndMinute } from "../core/format.js";
import { html, useEffect, useMemo } from "../core/html.js";
import { follow, hrefOf } from "../core/route.js";
import { state, useStore } from "../core/store.js";
import { loadHistory } from "../core/sync.js";

const HOUR = 3_600_000;
const WIDTH = 1000;
const ROW = 22;
const NAME = 170;
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

function Bar({ lease, from, y }) {
  const x = (at) => NAME + (Math.max(0, at - from) / HOUR) * (WIDTH - NAME);
  const width = Math.max(3, x(lease.until) - x(lease.since));
  const name = state.tasks.get(lease.task)?.name ?? "";
  const words = { running: "in progress", done: "finished", given: "given back", lost: "lease lost" };
  return html`<a href=${hrefOf({ task: lease.task })} tabindex="-1" onClick=${(event) => follow(event, { task: lease.task })}>
    <rect class=${`lane-bar ${lease.outcome}`} x=${x(lease.since)} y=${y + 4} width=${width} height=${ROW - 8} rx="4"><title>#${lease.task} ${name}: ${words[lease.outcome]}</title></rect></a>`;
}

const lastOf = ([, leases]) => Math.max(...leases.map((lease) => lease.until));

export function Lanes() {
  const now = useNow(10);
  const revision = useStore((store) => store.revision.events);
  useStore((store) => store.revision.tasks);
  useEffect(() => {
    loadHistory(500).catch(complain);
  }, []);
  const from = Math.max(now, serverNow() - 1000) - HOUR;
  const running = state.columns.IN_PROGRESS.filter((task) => task.lock);
  const lanes = useMemo(() => intervals(state.events, running, from, from + HOUR), [revision, now, running.length]);
  if (lanes.size === 0) return null;
  const rows = [...lanes].sort((a, b) => lastOf(b) - lastOf(a)).slice(0, LANES_SHOWN);
  const height = rows.length * ROW + 24;
  const quarters = [0, 15, 30, 45, 60];
  const clip = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);
  return html`<figure class="lanes" tabindex="0" aria-label="Leases of the last hour, one lane an agent">
    <svg viewBox=${`0 0 ${WIDTH} ${height}`} role="group" aria-label="Leases of the last hour">
      ${quarters.map((minute) => html`<g key=${minute}><line class="lane-grid" x1=${NAME + (minute / 60) * (WIDTH - NAME)} x2=${NAME + (minute / 60) * (WIDTH - NAME)} y1="0" y2=${height - 18} />
        <text class="lane-time" x=${NAME + (minute / 60) * (WIDTH - NAME)} y=${height - 5} text-anchor=${minute === 60 ? "end" : minute ? "middle" : "start"}>${minute === 60 ? "now" : hourAndMinute(from + minute * 60_000)}</text></g>`)}
      ${rows.map(([agent, leases], row) => html`<g key=${agent}><text class="lane-name" x="0" y=${row * ROW + 15}>${clip(agent)}</text>${leases.map((lease) => html`<${Bar} key=${`${lease.task}-${lease.since}`} lease=${lease} from=${from} y=${row * ROW} />`)}</g>`)}
    </svg>
    <figcaption class="lane-key"><span class="running">in progress</span><span class="done">finished</span><span class="given">given back</span><span class="lost">lost</span>${lanes.size > LANES_SHOWN && html`<i>the ${LANES_SHOWN} seen last of ${lanes.size}</i>`}</figcaption>
  </figure>`;
}
