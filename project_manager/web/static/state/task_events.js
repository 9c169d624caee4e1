// The task after an event. The compact row and the changes of the event replace a read of the task where they have all
// that changed.
import { withExcerpt } from "./pages.js";

const COMPLETE = new Set(["task.locked", "task.unlocked", "task.status_changed", "task.ready"]);
const MAY_CHANGE_BLOCKERS = ["parent_id", "depends_on", "conflicts_with", "paths", "defer_until", "attempts"];
const LOST = new Set(["lock_expired", "unconfirmed", "forced", "stopped"]);
const SETTLED = new Set(["DONE", "CANCELLED"]);

/** Return whether the event may change the row of its task. */
export const changesTask = (/** @type {OutboxEvent} */ event) =>
  event.type.startsWith("task.") && event.type !== "task.logged";

const conflictsOf = (/** @type {State} */ state, /** @type {number} */ id) =>
  [...(state.conflicts.get(id) ?? []), ...(state.tasks.get(id)?.conflicts_with ?? [])];

/** Return the parent of the task in a list, which is empty without one. */
function parentOf(/** @type {State} */ state, /** @type {number} */ id) {
  const parent = state.tasks.get(id)?.parent_id;
  return parent ? [parent] : [];
}

/** Return the ids of tasks with blockers that the event may change. */
function othersAffected(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  const id = event.task_id;
  const dependents = state.dependents.get(id) ?? [];
  switch (event.type) {
    case "task.status_changed":
      return SETTLED.has(event.status) || SETTLED.has(event.previous_status)
        ? [...dependents, ...parentOf(state, id)]
        : [];
    case "task.created":
      return parentOf(state, id);
    case "task.locked":
      return event.renewed ? [] : conflictsOf(state, id);
    case "task.unlocked":
      return conflictsOf(state, id);
    default:
      return [];
  }
}

const isWildcard = (/** @type {string | undefined} */ name) => name === undefined || /[*?[]/.test(name);

/** Return whether two globs may match the same file: their segments before the first wildcard do not differ. */
function mayOverlap(/** @type {string} */ one, /** @type {string} */ other) {
  const names = one.split("/");
  const others = other.split("/");
  for (let at = 0; !isWildcard(names[at]) && !isWildcard(others[at]); at += 1) {
    if (names[at] !== others[at]) return false;
  }
  return true;
}

/** Return the ids of tasks that the event may block by paths, or no longer. Most of them have no event of their own. */
function overlappingTo(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  const isEdit = event.type === "task.updated" && event.task?.holder;
  const globs = isEdit ? [...(event.changes.paths ?? []), ...(event.previous.paths ?? [])] : event.paths ?? [];
  if (globs.length === 0 || event.renewed) return [];
  return [...state.tasks.values()].filter((task) => task.id !== event.task_id
    && task.project_id === event.project_id
    && task.status === "TODO"
    && task.paths.some((path) => globs.some((/** @type {string} */ glob) => mayOverlap(path, glob))))
    .map((task) => task.id);
}

/** Return the ids of tasks with a link to the task. */
const linkedTo = (/** @type {State} */ state, /** @type {number} */ id) =>
  [...(state.dependents.get(id) ?? []), ...(state.conflicts.get(id) ?? [])];

/**
 * Return the ids of other tasks to read after the event. A task that becomes ready, or no longer is, has an event of
 * its own, but no event has the links that a deleted task leaves behind, and a lease blocks tasks by paths without one.
 */
export const othersToRead = (/** @type {State} */ state, /** @type {OutboxEvent} */ event) =>
  (event.type === "task.deleted"
    ? linkedTo(state, event.task_id)
    : [
        ...[...othersAffected(state, event)].filter((id) => state.tasks.get(id)?.ready === false),
        ...overlappingTo(state, event),
      ]);

/** Return the blockers of the task besides its status, which is the first one if it is not TODO. */
const otherBlockers = (/** @type {Task} */ task) =>
  (task.status === "TODO" ? task.why_not_ready : task.why_not_ready.slice(1));

function blockersAfter(/** @type {Task} */ task, /** @type {CompactTaskRow} */ row) {
  if (row.ready) return [];
  const others = otherBlockers(task);
  return row.status === "TODO" ? others : [`status is ${row.status}, not TODO`, ...others];
}

function withChanges(/** @type {Task} */ task, /** @type {Partial<Task>} */ changes = {}) {
  if (changes.description === undefined) return { ...task, ...changes };
  return withExcerpt({ ...task, description_truncated: undefined, ...changes });
}

/** Return the offer of the task in TODO after the event. */
function offerAfter(/** @type {Task} */ task, /** @type {OutboxEvent} */ event) {
  if (event.type === "task.offered") return { agent: event.agent_id, until: event.until, reason: event.reason };
  return event.type === "task.offer_ended" ? null : task.offered_to;
}

/** Return the fields that belong to the status of the task. */
/** @param {Task} task @param {OutboxEvent} event @param {string} status */
const reasonsAfter = (task, event, status) => ({
  completed_at: status === "DONE" ? task.completed_at ?? event.timestamp : null,
  completed_by: status === "DONE" ? task.completed_by : null,
  blocked_by: status === "BLOCKED" ? task.blocked_by : null,
  offered_to: status === "TODO" ? offerAfter(task, event) : null,
});

/**
 * Return the seconds of work on the task after the event, which may end its lease. `lock` is the one after it. The
 * length is rounded as by the service. If the holder did not end the lease, the task is read.
 */
/** @param {Task} task @param {Task["lock"]} lock @param {OutboxEvent} event */
function workedAfter(task, lock, event) {
  const ended = task.lock;
  if (!ended || ended.kind === "review" || lock?.fence === ended.fence || LOST.has(event.reason)) {
    return task.worked_seconds;
  }
  const length = Date.parse(event.timestamp) - Date.parse(ended.acquired_at);
  return task.worked_seconds + Math.max(0, Math.round(length / 1000));
}

/** Return the task after the event, or null if the event has no compact row. */
export function taskAfterEvent(/** @type {Task} */ task, /** @type {OutboxEvent} */ event) {
  if (!event.task) return null;
  const { holder, ...row } = event.task;
  const version = event.version ?? task.version;
  const known = event.type === "task.locked" ? event.lock : task.lock;
  const lock = known?.holder === holder ? known : null;
  return {
    ...withChanges(task, event.changes),
    ...row,
    status: /** @type {Status} */ (row.status),
    version,
    attempts: event.attempts ?? task.attempts,
    lock,
    worked_seconds: workedAfter(task, lock, event),
    why_not_ready: blockersAfter(task, event.task),
    cancelled_dependencies: row.ready ? [] : task.cancelled_dependencies,
    path_conflicts: row.ready ? [] : task.path_conflicts,
    updated_at: version > task.version ? event.timestamp : task.updated_at,
    ...reasonsAfter(task, event, row.status),
  };
}

/**
 * Return whether the number of failed attempts may differ from that of `task`, the task after the event. Only
 * `task.unlocked` has it, and a move by a person resets it. At its limit it is also a blocker of a BLOCKED task.
 * @param {Task} before @param {Task} task @param {OutboxEvent} event
 */
const mayHaveOtherAttempts = (before, task, event) =>
  task.attempts > 0
  && (task.status === "BLOCKED" || (event.type === "task.status_changed" && !before.lock && !task.lock));

/**
 * Return whether `task`, the task after the event, has all that the event changed. Otherwise it must be read.
 * @param {Task} before @param {Task} task @param {OutboxEvent} event
 */
export const isComplete = (before, task, event) => {
  if (event.type === "task.updated") return !MAY_CHANGE_BLOCKERS.some((name) => name in event.changes);
  // No event has `blocked_by`.
  if (event.type === "task.status_changed" && event.status === "BLOCKED") return false;
  // Only the service knows the time of work of a lease that its holder did not end: work ends when the lease expires,
  // and an unconfirmed lease does not count.
  if (event.type === "task.unlocked" && LOST.has(event.reason)) return false;
  return COMPLETE.has(event.type)
    && (task.ready || (task.status !== "TODO" && otherBlockers(task).length === 0))
    && !mayHaveOtherAttempts(before, task, event);
};
