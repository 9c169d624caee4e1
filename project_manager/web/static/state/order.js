// Tasks by status. Each status has its own order and stays sorted when tasks are added or removed.
import { STATUSES } from "../core/vocabulary.js";

const byPriority = (/** @type {Task} */ a, /** @type {Task} */ b) => a.priority - b.priority || a.id - b.id;
const byClaimOrder = (/** @type {Task} */ a, /** @type {Task} */ b) =>
  Number(b.ready) - Number(a.ready) || a.priority - b.priority || b.unblocks - a.unblocks || a.id - b.id;
const newest = (/** @type {"completed_at" | "updated_at"} */ field) =>
  (/** @type {Task} */ a, /** @type {Task} */ b) => {
  const left = a[field] ?? a.updated_at;
  const right = b[field] ?? b.updated_at;
  return left < right ? 1 : left > right ? -1 : b.id - a.id;
};

/** @type {Record<Status, (a: Task, b: Task) => number>} TODO is in claim order. */
const ORDERS = {
  BACKLOG: byPriority,
  TODO: byClaimOrder,
  IN_PROGRESS: byPriority,
  REVIEW: byPriority,
  BLOCKED: byPriority,
  DONE: newest("completed_at"),
  CANCELLED: newest("updated_at"),
};

export const emptyColumns = () =>
  /** @type {Columns} */ (Object.fromEntries(STATUSES.map((status) => [status, /** @type {Task[]} */ ([])])));

/** Return the index of `task` in the sorted `column`, or the index at which to insert it. */
/** @param {Task[]} column @param {Task} task @param {(a: Task, b: Task) => number} order */
function position(column, task, order) {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(column[middle], task) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function insert(/** @type {Columns} */ columns, /** @type {Task} */ task) {
  const column = columns[task.status];
  column.splice(position(column, task, ORDERS[task.status]), 0, task);
}

/** Remove `task`, which must be the inserted object: tasks are replaced, never changed. */
export function removeFrom(/** @type {Columns} */ columns, /** @type {Task} */ task) {
  const column = columns[task.status];
  const index = position(column, task, ORDERS[task.status]);
  if (column[index] === task) column.splice(index, 1);
}

export function sortAll(/** @type {Columns} */ columns) {
  for (const status of STATUSES) columns[status].sort(ORDERS[status]);
}
