// The state of the fleet in one line: agents, ready tasks, work that waits on a person, and the pace.
import { HOUR } from "../core/format.js";
import { tasksByHolder, activityOf } from "./agents.js";
import { pauseOf } from "./pauses.js";
import { isCountedIn, numberWaiting, waitingOnPerson } from "./waiting.js";

/**
 * Return the number of tasks at the start of a sorted column for which `fits` is true, without those that `counts`
 * leaves out.
 * @param {Task[]} column @param {TaskTest} fits @param {TaskTest} counts
 */
function numberAtStart(column, fits, counts) {
  let number = 0;
  for (const task of column) {
    if (!fits(task)) break;
    if (counts(task)) number += 1;
  }
  return number;
}

/** Return the numbers of agents by activity. Paused ones are left out, because they get no work. */
function agentsOf(/** @type {State} */ state, /** @type {TaskTest} */ isCounted, /** @type {number} */ now) {
  const held = tasksByHolder(state);
  const found = { working: 0, silent: 0, idle: 0 };
  for (const [id, tasks] of held) {
    if (!tasks.some(isCounted)) continue;
    const agent = state.agents.get(id);
    if (!agent) found.working += 1;
    else if (agent.kind === "agent") found[activityOf(agent, tasks, now) === "silent" ? "silent" : "working"] += 1;
  }
  for (const agent of state.agents.values()) {
    if (agent.kind !== "agent" || held.has(agent.id) || pauseOf("agent", agent.id)) continue;
    if (["waiting", "idle"].includes(activityOf(agent, [], now))) found.idle += 1;
  }
  return found;
}

/** Return the numbers of the state strip in the chosen project. `now` is the server time in milliseconds. */
export function fleetOf(/** @type {State} */ state, /** @type {number} */ now) {
  const { project } = state.route;
  const isCounted = isCountedIn(state, project);
  const anHourAgo = new Date(now - HOUR).toISOString();
  const isRecent = (/** @type {Task} */ task) => (task.completed_at ?? "") >= anHourAgo;
  return {
    ...agentsOf(state, isCounted, now),
    ...waitingOnPerson(state, project),
    ready: numberAtStart(state.columns.TODO, (task) => task.ready, isCounted),
    done: numberAtStart(state.columns.DONE, isRecent, isCounted),
  };
}

/** Return whether agents have nothing to do while work waits on a person. */
export const isStarved = (/** @type {ReturnType<typeof fleetOf>} */ fleet) =>
  fleet.idle > 0 && fleet.ready === 0 && numberWaiting(fleet) > 0 && !pauseOf("all");
