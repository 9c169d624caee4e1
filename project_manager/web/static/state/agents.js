// The agents: the tasks that each holds, its condition, and the reads that keep the list up to date.
import { get } from "../core/api.js";
import { everySecond, serverNow } from "../core/clock.js";
import { MINUTE } from "../core/format.js";
import { fetchAll } from "./pages.js";
import { pauseOf } from "./pauses.js";
import { dispatch, isLive, state } from "./store.js";

const REFRESH_SECONDS = 10;
/** A waiting call is at most a minute old. So every waiting agent was seen within this time. */
const OVERLAP_MS = 2 * MINUTE;
/** Without a call for this time, an agent is silent. */
const SEEN_MS = 2 * MINUTE;
const AWAY_MS = 30 * MINUTE;
/** Agents to read at once, the last seen first. */
const MOST = 5000;

/** Return the change of the address that opens the page of an agent. */
export const pageOf = (/** @type {string} */ id) => ({ view: "agents", agent: id, task: null, around: null });

/** Return the agents, without people and the server. */
export const knownAgents = () => [...state.agents.values()].filter(({ kind }) => kind === "agent");

let readAt = 0;

export async function loadAgents() {
  const at = serverNow();
  const agents = await fetchAll("/api/agents", {}, { most: MOST });
  readAt = at;
  dispatch({ type: "agents", agents });
}

/** Read one agent, which may be too old for the list. Throw ApiError. */
export async function loadAgent(/** @type {string} */ id) {
  const agent = await get(`/api/agents/${encodeURIComponent(id)}`);
  dispatch({ type: "agentsSeen", agents: [agent] });
}

/**
 * Read the agents that were seen since the last read. No event has the time of that, or that an agent waits. An agent
 * that is not among them was not seen recently, so that it is not shown as waiting.
 */
export async function refreshAgents() {
  const at = serverNow();
  const since = new Date(readAt - OVERLAP_MS).toISOString();
  const agents = await fetchAll("/api/agents", { seen_since: since }, { most: MOST });
  readAt = at;
  dispatch({ type: "agentsSeen", agents });
}

export function watchAgents() {
  let second = 0;
  let wasLive = false;
  return everySecond(() => {
    const isBack = readAt > 0 && isLive(state) && !wasLive;
    wasLive = isLive(state);
    second = isBack ? 0 : second + 1;
    if (second % REFRESH_SECONDS || !state.loaded || document.hidden || !wasLive) return;
    (readAt ? refreshAgents() : loadAgents()).catch(() => {}); // repeated in some seconds
  });
}

/** Return the tasks with a lease, for work or for review, by holder. */
export function tasksByHolder(/** @type {State} */ now) {
  /** @type {Map<string, Task[]>} */
  const held = new Map();
  for (const task of [...now.columns.IN_PROGRESS, ...now.columns.REVIEW]) {
    if (!task.lock) continue;
    const tasks = held.get(task.lock.holder);
    if (tasks) tasks.push(task);
    else held.set(task.lock.holder, [task]);
  }
  return held;
}

/** @type {Record<string, [name: string, meaning: string]>} */
export const CONDITIONS = {
  stopped: ["Stopped", "an operator stopped it"],
  paused: ["Paused", "it gets nothing new"],
  working: ["Working", "holds a task, seen recently"],
  waiting: ["Waiting", "waits for a task that is ready"],
  idle: ["Idle", "holds no task, seen recently"],
  silent: ["Silent", "not seen for 2 minutes or longer"],
  away: ["Away", "not seen for 30 minutes or longer"],
  unknown: ["Unknown", "no connection to the server"],
};

/** Return whether an agent with these tasks was seen recently. An agent at work renews each third of its lease. */
function isSeen(/** @type {AgentView} */ agent, /** @type {Task[]} */ tasks, /** @type {number} */ now) {
  const halves = tasks.map((task) => (task.lock?.ttl_seconds ?? 0) * 500);
  return now - Date.parse(agent.last_seen) < Math.max(SEEN_MS, ...halves);
}

/** Return the activity of the agent, as a key of CONDITIONS without its pause. Nothing is known after the last read. */
export function activityOf(/** @type {AgentView} */ agent, /** @type {Task[]} */ tasks, /** @type {number} */ now) {
  const known = Math.min(now, readAt || now);
  if (isSeen(agent, tasks, known)) return tasks.length ? "working" : agent.waiting ? "waiting" : "idle";
  return tasks.length || known - Date.parse(agent.last_seen) < AWAY_MS ? "silent" : "away";
}

/** Return the condition of the agent as a key of CONDITIONS, or null for a person: people do not call all the time. */
export function conditionOf(/** @type {AgentView} */ agent, /** @type {Task[]} */ tasks, /** @type {number} */ now) {
  if (agent.kind !== "agent") return null;
  const pause = pauseOf("agent", agent.id);
  if (pause) return pause.stopped ? "stopped" : "paused";
  return activityOf(agent, tasks, now);
}

const byName = new Intl.Collator(undefined, { numeric: true });

/**
 * Return the order of two agents: those that hold a task or were seen within 30 minutes by name, so that a call moves
 * none of them, and then the others, the last seen first.
 * @param {Map<string, Task[]>} held @param {number} now @returns {(a: AgentView, b: AgentView) => number}
 */
export function agentOrder(held, now) {
  const isAway = (/** @type {AgentView} */ agent) =>
    !held.has(agent.id) && now - Date.parse(agent.last_seen) >= AWAY_MS;
  return (a, b) => {
    const away = isAway(a);
    if (away !== isAway(b)) return away ? 1 : -1;
    return (away && Date.parse(b.last_seen) - Date.parse(a.last_seen)) || byName.compare(a.id, b.id);
  };
}
