// The page of one agent: state, tasks, timeline, messages and log.
import { serverNow, useNow } from "../../core/clock.js";
import { bidiIsolate, plural } from "../../core/format.js";
import { html, useEffect, useState } from "../../core/html.js";
import { isOperator } from "../../core/vocabulary.js";
import { CONDITIONS, activityOf, conditionOf, loadAgent, tasksByHolder } from "../../state/agents.js";
import { openDialog } from "../../state/dialogs.js";
import { pauseOf } from "../../state/pauses.js";
import { follow, hrefOf } from "../../state/route.js";
import { isLive, state, useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { Avatar, LockChip, RelativeTime, TaskLink } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";
import { LatestLogEntry } from "../../ui/latest_log_entry.js";
import { MessageBox, MessagesWith } from "../page/messages.js";
import { PauseButton } from "../page/pauses.js";
import { AgentLog } from "./agent_log.js";
import { Timeline } from "./timeline.js";

const isStale = (/** @type {State} */ now) => now.connection.status === "stale";

/** The chip with the condition of an agent, which is unknown on a stale page. */
export function Condition(/** @type {{ condition: string }} */ { condition }) {
  const shown = useStore(isStale) ? "unknown" : condition;
  const [name, meaning] = CONDITIONS[shown];
  return html`<span class=${`agent-state ${shown}`} title=${meaning} data-testid="agent-state">${name}</span>`;
}

/** Links to the held tasks, as part of a sentence. */
const taskLinks = (/** @type {Task[]} */ tasks) =>
  tasks.map((task, index) => html`${index > 0 && ", "}<${TaskLink} key=${task.id} id=${task.id} short bare />`);

/** The sentence about the activity of the agent. */
function Doing(/** @type {{ agent: AgentView, tasks: Task[], now: number }} */ { agent, tasks, now }) {
  const since = html`<${RelativeTime} at=${agent.last_seen} />`;
  switch (activityOf(agent, tasks, now)) {
    case "working": {
      const reviews = tasks.every((task) => task.lock?.kind === "review");
      return html`<span>${reviews ? "reviewing" : "working on"} ${taskLinks(tasks)}</span>`;
    }
    case "waiting": return html`<span>waiting for a task that is ready</span>`;
    case "idle": return html`<span>without a task, last seen ${since}</span>`;
    default: return tasks.length
      ? html`<span>holds ${taskLinks(tasks)} and was last seen ${since}</span>`
      : html`<span>last seen ${since}</span>`;
  }
}

/** The effect of a pause or a stop on this agent. */
function PauseNote(/** @type {{ pause: PauseView, tasks: Task[] }} */ { pause, tasks }) {
  const effect = pause.stopped
    ? "Its leases have ended, and the server refuses its writes."
    : tasks.length
    ? `It finishes ${plural(tasks.length, "task")} and gets nothing new.`
    : "It gets nothing new.";
  return html`<p class="agent-pause" data-testid="agent-pause">
    <${Icon} name="pause" />
    <span>
      ${pause.stopped ? "Stopped" : "Paused"} by <bdi>${pause.author}</bdi> <${RelativeTime} at=${pause.created_at} />
      ${pause.reason && html`: <span dir="auto">${pause.reason}</span>`}. ${effect}
    </span>
  </p>`;
}

function StopButton(/** @type {{ id: string }} */ { id }) {
  const operator = useStore((now) => isOperator(now.session));
  const stopped = useStore(() => pauseOf("agent", id)?.stopped);
  if (!operator || stopped) return null;
  const name = `agent ${bidiIsolate(id)}`;
  const open = () => openDialog("message", { target: { to_agent: id }, title: `Stop ${name}`, kind: "stop" });
  return html`<button type="button" class="small" onClick=${open} aria-label=${`Stop ${name}`} data-testid="stop-agent">
    <${Icon} name="hand" />
    Stop
  </button>`;
}

/** @type {Record<string, string>} */
const NOUNS = { agent: "Agent", human: "Person", system: "System" };

function Head(/** @type {{ agent: AgentView, tasks: Task[] }} */ { agent, tasks }) {
  useStore((now) => now.pauses);
  useNow(5);
  const now = serverNow();
  const isAgent = agent.kind === "agent";
  const condition = conditionOf(agent, tasks, now);
  const pause = pauseOf("agent", agent.id);
  const board = { view: "board", holder: agent.id, agent: null };
  return html`<header class="agent-page-head">
    <${Avatar} id=${agent.id} kind=${agent.kind} />
    <div class="agent-who">
      <div class="agent-title">
        <h1 id="page-title"><bdi>${agent.id}</bdi></h1>
        ${condition && html`<${Condition} condition=${condition} />`}
      </div>
      <p class="muted" data-testid="agent-doing">
        ${NOUNS[agent.kind] ?? agent.kind}, <${Doing} agent=${agent} tasks=${tasks} now=${now} />
      </p>
      <p class="muted">
        last seen <${RelativeTime} at=${agent.last_seen} /> · first seen <${RelativeTime} at=${agent.first_seen} />
      </p>
    </div>
    <div class="row">
      <a class="button small-button" href=${hrefOf(board)} onClick=${(event) => follow(event, board)}>
        <${Icon} name="board" />
        Its tasks
      </a>
      ${isAgent && html`<${PauseButton} scope="agent" id=${agent.id} name=${`agent ${agent.id}`} />
        <${StopButton} id=${agent.id} />`}
    </div>
    ${pause && html`<${PauseNote} pause=${pause} tasks=${tasks} />`}
  </header>`;
}

/** The held tasks with their last reports. */
function Holds(/** @type {{ tasks: Task[] }} */ { tasks }) {
  if (tasks.length === 0) return null;
  return html`<section class="agent-part" aria-labelledby="agent-holds">
    <h2 id="agent-holds">Holds<span class="count">${tasks.length}</span></h2>
    <ul class="agent-holds">
      ${tasks.map((task) => html`<li key=${task.id} class="agent-hold" data-testid="agent-hold">
        <${TaskLink} id=${task.id} />
        <${LockChip} lock=${task.lock} />
        <${LatestLogEntry} task=${task} />
      </li>`)}
    </ul>
  </section>`;
}

function Unknown(/** @type {{ id: string }} */ { id }) {
  return html`<div class="empty" data-testid="not-found"><h1 class="empty-title">Unknown agent</h1><div>
    <p>No agent or person named <bdi>${id}</bdi> has called this server.</p>
    <${Back} />
  </div></div>`;
}

function Back() {
  const all = { view: "agents", agent: null, range: null };
  return html`<a class="back" href=${hrefOf(all)} onClick=${(event) => follow(event, all)} data-testid="all-agents">
    <${Icon} name="collapse" />
    All agents
  </a>`;
}

/** Return the agent of the list. Read an older one by itself: then "reading", or "unknown". */
function useAgent(/** @type {string} */ id) {
  useStore((now) => now.revision.agents);
  const [unknown, setUnknown] = useState(false);
  const known = state.agents.get(id);
  const live = useStore(isLive);
  useEffect(() => {
    if (known) return;
    loadAgent(id).catch((error) => {
      if (error.status === 404) setUnknown(true);
      else if (error.status !== 0) showError(error);
    });
  }, [live]);
  return known ?? (unknown ? "unknown" : "reading");
}

/** The page of the agent with this id. The caller renders a new one for each id. */
export function AgentPage(/** @type {{ id: string }} */ { id }) {
  useStore((now) => now.revision.tasks);
  const agent = useAgent(id);
  const isUser = useStore((now) => now.session?.actor?.id === id);
  if (agent === "unknown") return html`<${Unknown} id=${id} />`;
  if (agent === "reading") return html`<p class="page muted" role="status">Reading…</p>`;
  const tasks = tasksByHolder(state).get(id) ?? [];
  return html`<section class="page agent-page" aria-labelledby="page-title" data-testid="agent-page">
    <${Back} />
    <${Head} agent=${agent} tasks=${tasks} />
    <${Holds} tasks=${tasks} />
    <${Timeline} agent=${agent} />
    <div class="agent-columns">
      <${AgentLog} agent=${id} />
      <section class="agent-part" aria-labelledby="agent-messages">
        <h2 id="agent-messages">Messages</h2>
        ${!isUser && html`<${MessageBox} target=${{ to_agent: id }} name=${id} />`}
        <${MessagesWith} id=${id} />
      </section>
    </div>
  </section>`;
}
