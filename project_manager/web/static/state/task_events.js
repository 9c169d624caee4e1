// The task after an event. The compact row of the event replaces a read of the task where it has all that changed.

const COMPLETE = new Set(["task.locked", "task.unlocked", "task.status_changed", "task.ready"]);

/** Return the blockers of the task besides its status, which is the first one if it is not TODO. */
const otherBlockers = (/** @type {Task} */ task) =>
  (task.status === "TODO" ? task.why_not_ready : task.why_not_ready.slice(1));

function blockersAfter(/** @type {Task} */ task, /** @type {CompactTaskRow} */ row) {
  if (row.ready) return [];
  const others = otherBlockers(task);
  return row.status === "TODO" ? others : [`status is ${row.status}, not TODO`, ...others];
}

/** Return the task after the event, or null if the event has no compact row. */
export function taskAfterEvent(/** @type {Task} */ task, /** @type {OutboxEvent} */ event) {
  if (!event.task) return null;
  const { holder, ...row } = event.task;
  const version = event.version ?? task.version;
  const lock = event.type === "task.locked" ? event.lock : task.lock;
  return {
    ...task,
    ...row,
    status: /** @type {Status} */ (row.status),
    version,
    attempts: event.attempts ?? task.attempts,
    lock: lock?.holder === holder ? lock : null,
    why_not_ready: blockersAfter(task, event.task),
    updated_at: version > task.version ? event.timestamp : task.updated_at,
    completed_at: row.status === "DONE" ? task.completed_at ?? event.timestamp : null,
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
export const isComplete = (before, task, event) =>
  COMPLETE.has(event.type)
  && (task.ready || (task.status !== "TODO" && otherBlockers(task).length === 0))
  && !mayHaveOtherAttempts(before, task, event);
