// The agents, their leases and the times they were last seen.
import { serverNow, useNow } from "../../core/clock.js";
import { plural } from "../../core/format.js";
import { cx, html, useEffect, useState } from "../../core/html.js";
import { canWrite } from "../../core/vocabulary.js";
import { agentOrder, conditionOf, loadAgents, tasksByHolder } from "../../state/agents.js";
import { openDialog } from "../../state/dialogs.js";
import { state, useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { AgentLink, Avatar, Empty, LockChip, RelativeTime, TaskLink } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";
import { MessageBox, RecentMessages } from "../page/messages.js";
import { PauseButton } from "../page/pauses.js";
import { AgentPage, Condition } from "./agent_page.js";
import { Lanes } from "./lanes.js";

/** Read the whole list when it is opened. Later reads have only the agents that were seen since. */
function useAllAgents() {
  useEffect(() => {
    loadAgents().catch((error) => error.status !== 0 && showError(error));
  }, []);
}

/** The tasks that the agent holds, with the time left of each lease. */
function HeldTasks(/** @type {{ tasks: Task[] }} */ { tasks }) {
  if (tasks.length === 0) return null;
  return html`<ul class="agent-tasks">
    ${tasks.map((task) => html`<li key=${task.id}>
      <${TaskLink} id=${task.id} />
      <${LockChip} lock=${task.lock} />
    </li>`)}
  </ul>`;
}

function AgentRow(/** @type {{ agent: AgentView, tasks: Task[], now: number }} */ { agent, tasks, now }) {
  const [writing, setWriting] = useState(false);
  const isUser = useStore((shown) => shown.session?.actor?.id === agent.id);
  const writer = useStore((shown) => canWrite(shown.session));
  const condition = conditionOf(agent, tasks, now);
  const isAgent = agent.kind === "agent";
  const noun = isAgent ? "agent" : "person";
  const kind = isAgent ? "" : `${noun}${isUser ? " (you)" : ""} · `;
  const name = `${noun} ${agent.id}`;
  return html`<li class=${cx("agent-card", condition)} data-testid="agent">
    <div class="agent-head">
      <${Avatar} id=${agent.id} kind=${agent.kind} />
      <div class="agent-who">
        <span class="agent-id"><${AgentLink} id=${agent.id} /></span>
        <p class="muted">
          ${kind}last seen <${RelativeTime} at=${agent.last_seen} /> · first seen <${RelativeTime}
              at=${agent.first_seen} />
        </p>
      </div>
      ${condition && html`<${Condition} condition=${condition} />`}
      ${!isUser && writer && html`<button type="button" class="small" aria-expanded=${writing}
          aria-label=${`Message to ${name}`} onClick=${() => setWriting(!writing)} data-testid="write-message">
        <${Icon} name="log" />
        Message
      </button>`}
      ${isAgent && html`<${PauseButton} scope="agent" id=${agent.id} name=${name} />`}
    </div>
    <${HeldTasks} tasks=${tasks} />
    ${writing && html`<${MessageBox} target=${{ to_agent: agent.id }} name=${agent.id} autofocus
        onClose=${() => setWriting(false)} />`}
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
  return agents.sort(agentOrder(held, serverNow()));
}

function AgentList() {
  useStore((now) => now.revision.tasks + now.revision.agents);
  useStore((now) => now.pauses);
  useAllAgents();
  useNow(5);
  const held = tasksByHolder(state);
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
        <p>An agent appears here with its first claim or write.</p>
        ${canWrite(state.session) && html`<button type="button" class="primary"
            onClick=${() => openDialog("connect", {})} data-testid="connect-agent">
          <${Icon} name="plug" />
          Connect an agent
        </button>`}
      <//>`
      : html`<${Lanes} order=${agents.map(({ id }) => id)} />
        <ul class="agents" data-testid="agents">
          ${agents.map((agent) => html`<${AgentRow} key=${agent.id} agent=${agent} tasks=${held.get(agent.id) ?? []}
              now=${serverNow()} />`)}
        </ul>
        <${RecentMessages} />`}
  </section>`;
}

/** The view: the page of the agent in the address, or the list. */
export function Agents() {
  const id = useStore((now) => now.route.agent);
  return id ? html`<${AgentPage} key=${id} id=${id} />` : html`<${AgentList} />`;
}
