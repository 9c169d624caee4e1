// The agents, their leases and the times they were last seen.
import { everySecond, serverNow, useNow } from "../../core/clock.js";
import { plural } from "../../core/format.js";
import { html, useEffect } from "../../core/html.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { loadAgents } from "../../state/sync.js";
import { showError } from "../../state/toasts.js";
import { Avatar, Empty, LockChip, RelativeTime, TaskLink } from "../../ui/chips.js";
import { MessageButton, RecentMessages } from "../page/messages.js";
import { PauseButton } from "../page/pauses.js";
import { Lanes } from "./lanes.js";

const ACTIVE_MS = 2 * 60_000;
const QUIET_MS = 30 * 60_000;
const RELOAD_SECONDS = 10;

/** Refresh the list of agents while it is visible: a changed last-seen time emits no event. */
export function useAgents() {
  const changed = useStore((now) => now.events[now.events.length - 1]?.seq);
  useEffect(() => {
    let count = 0;
    const read = () => loadAgents().catch((error) => error.status !== 0 && showError(error));
    read();
    return everySecond(() => {
      count += 1;
      if (count % RELOAD_SECONDS === 0 && !document.hidden) read();
    });
  }, []);
  return changed;
}

/** Return tasks by holder. The board is fresher than the list of agents. */
export function leasesByHolder() {
  /** @type {Map<string, Task[]>} */
  const held = new Map();
  for (const task of state.columns.IN_PROGRESS) {
    if (!task.lock) continue;
    const { holder } = task.lock;
    held.set(holder, [...(held.get(holder) ?? []), task]);
  }
  return held;
}

const STATES = {
  working: ["Working", "has a lease, seen recently"],
  silent: ["Silent", "has a lease, not seen recently"],
  idle: ["Idle", "no lease, seen recently"],
  away: ["Away", "no lease, not seen recently"],
};

function stateOf(/** @type {AgentView} */ agent, /** @type {Task[]} */ tasks, /** @type {number} */ now) {
  const silence = now - Date.parse(agent.last_seen);
  if (tasks.length) {
    const halves = tasks.map((task) => (task.lock?.ttl_seconds ?? 0) * 500);
    return silence < Math.max(ACTIVE_MS, ...halves) ? "working" : "silent";
  }
  return silence < QUIET_MS ? "idle" : "away";
}

function AgentRow(/** @type {{ agent: AgentView, tasks: Task[], now: number }} */ { agent, tasks, now }) {
  const condition = stateOf(agent, tasks, now);
  const [name, meaning] = STATES[condition];
  const isUser = useStore((shown) => shown.session?.actor?.id === agent.id);
  const isAgent = agent.kind === "agent";
  const noun = isAgent ? "agent" : "person";
  const kind = isAgent ? "" : `${noun}${isUser ? " (you)" : ""} · `;
  return html`<li class=${`agent-card ${condition}`} data-testid="agent">
    <div class="agent-head">
      <${Avatar} id=${agent.id} kind=${agent.kind} />
      <div class="agent-who">
        <a class="agent-id" href=${hrefOf({ view: "board", holder: agent.id })}
            onClick=${(event) => follow(event, { view: "board", holder: agent.id })}><bdi>${agent.id}</bdi></a>
        <p class="muted">
          ${kind}last seen <${RelativeTime} at=${agent.last_seen} /> · first seen <${RelativeTime}
              at=${agent.first_seen} />
        </p>
      </div>
      <span class=${`agent-state ${condition}`} title=${meaning}>${name}</span>
      ${!isUser && html`<${MessageButton} target=${{ to_agent: agent.id }} name=${`${noun} ${agent.id}`} />`}
      ${isAgent && html`<${PauseButton} scope="agent" id=${agent.id} name=${`agent ${agent.id}`} />`}
    </div>
    ${tasks.length > 0 && html`<ul class="agent-tasks">
      ${tasks.map((task) => html`<li key=${task.id}>
        <${TaskLink} id=${task.id} />
        <${LockChip} lock=${task.lock} />
      </li>`)}
    </ul>`}
  </li>`;
}

/** Return all agents, including holders that are not in the list yet. */
function allAgents(/** @type {Map<string, Task[]>} */ held) {
  const agents = [...state.agents.values()].filter((agent) => agent.kind !== "system");
  for (const [id, tasks] of held) {
    const since = tasks[0].lock?.acquired_at ?? "";
    if (state.agents.has(id)) continue;
    agents.push({ id, kind: "agent", first_seen: since, last_seen: since, locks: [], waiting: false });
  }
  const count = (/** @type {AgentView} */ agent) => held.get(agent.id)?.length ?? 0;
  return agents.sort((a, b) => Number(count(b) > 0) - Number(count(a) > 0) || (a.last_seen < b.last_seen ? 1 : -1));
}

export function Agents() {
  useStore((now) => now.revision.tasks + now.revision.agents);
  useAgents();
  useNow(5);
  const held = leasesByHolder();
  const agents = allAgents(held);
  const known = agents.filter(({ kind }) => kind === "agent");
  const working = known.filter(({ id }) => held.has(id));
  return html`<section class="page" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Agents</h1>
      <span class="muted">${plural(working.length, "agent")} at work, ${plural(known.length, "agent")} known</span>
    </div>
    ${agents.length === 0
      ? html`<${Empty} title="No agents yet">
        <p>Point an MCP client at <code>/mcp</code> on this port, or run <code>project-manager mcp</code>.</p>
      <//>`
      : html`<${RecentMessages} /><${Lanes} />
        <ul class="agents" data-testid="agents">
          ${agents.map((agent) => html`<${AgentRow} key=${agent.id} agent=${agent} tasks=${held.get(agent.id) ?? []}
              now=${serverNow()} />`)}
        </ul>`}
  </section>`;
}
