// The tasks that the graph shows: those held back by work that waits on a person, all with dependencies, or those
// around one task.
import { CLOSED } from "../../core/vocabulary.js";
import { testOf } from "../../state/filters.js";
import { state } from "../../state/store.js";
import { heldBackBy, tasksWaiting, waitingKindOf } from "../../state/waiting.js";

export const MAX_NODES = 400;

/** Return the ids and everything that `next` reaches from them, at most MAX_NODES. */
function reached(/** @type {number[]} */ ids, /** @type {(id: number) => Iterable<number>} */ next) {
  const found = new Set(ids);
  const queue = [...ids];
  for (let at = 0; at < queue.length && found.size < MAX_NODES; at += 1) {
    for (const other of next(queue[at])) {
      if (!found.has(other)) queue.push(other);
      found.add(other);
    }
  }
  return found;
}

const tasksOf = (/** @type {Iterable<number>} */ ids) =>
  [...ids].map((id) => state.tasks.get(id)).filter((task) => task !== undefined);

/** Return the task with all of its transitive dependencies and dependents. */
export function around(/** @type {number} */ id) {
  const before = reached([id], (task) => state.tasks.get(task)?.depends_on ?? []);
  const after = reached([id], (task) => state.dependents.get(task) ?? []);
  return tasksOf(new Set([...before, ...after])).slice(0, MAX_NODES);
}

const testOfRoute = (/** @type {Route} */ { project, epic, label }) => testOf({ project, epic, label }) ?? (() => true);

const openDependents = (/** @type {number} */ id) =>
  [...(state.dependents.get(id) ?? [])].filter((other) => !CLOSED.has(state.tasks.get(other)?.status ?? "DONE"));

/**
 * Return the tasks that wait on a person, the open tasks that depend on them, directly or not, and the number of tasks
 * that wait on a person without an open dependent, which are left out.
 */
export function heldBack(/** @type {Route} */ route) {
  const waiting = tasksWaiting(state).filter(testOfRoute(route));
  const sources = waiting.filter((task) => openDependents(task.id).length > 0);
  const tasks = tasksOf(reached(sources.map(({ id }) => id), openDependents));
  return { tasks, alone: waiting.length - sources.length };
}

/** Return the number of tasks that each task waiting on a person holds back, as in "Needs you". */
export const numbersHeldBack = (/** @type {Task[]} */ tasks) =>
  new Map(tasks.filter(waitingKindOf).map((task) => [task.id, heldBackBy(state, task)]));

/** Return the tasks with dependencies. Closed tasks are included only on request or if open tasks depend on them. */
export function withDependencies(/** @type {Route} */ route, /** @type {boolean} */ closed) {
  const test = testOfRoute(route);
  const pool = [...state.tasks.values()].filter((task) => test(task) && (closed || !CLOSED.has(task.status)));
  const ids = new Set(pool.map((task) => task.id));
  const linked = (/** @type {Task} */ task) =>
    task.depends_on.some((id) => ids.has(id)) || [...(state.dependents.get(task.id) ?? [])].some((id) => ids.has(id));
  return pool.filter(linked);
}
