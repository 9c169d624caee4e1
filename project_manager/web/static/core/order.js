// Tasks by status. Each status has its own order and stays sorted when tasks are added or removed.
import { STATUSES } from "./vocabulary.js";

const byPriority = (a, b) => a.priority - b.priority || a.id - b.id;
const byClaimOrder = (a, b) => b.ready - a.ready || a.priority - b.priority || b.unblocks - a.unblocks || a.id - b.id;
const newest = (field) => (a, b) => {
  const left = a[field] ?? a.updated_at;
  const right = b[field] ?? b.updated_at;
  return left < right ? 1 : left > right ? -1 : b.id - a.id;
};

// TODO is in claim order.
const ORDERS = {
  BACKLOG: byPriority,
  TODO: byClaimOrder,
  IN_PROGRESS: byPriority,
  REVIEW: byPriority,
  BLOCKED: byPriority,
  DONE: newest("completed_at"),
  CANCELLED: newest("updated_at"),
};

export const emptyColumns = () => Object.fromEntries(STATUSES.map((status) => [status, []]));

/** Return the index of `task` in the sorted `column`, or the index at which to insert it. */
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

export function insert(columns, task) {
  const column = columns[task.status];
  column.splice(position(column, task, ORDERS[task.status]), 0, task);
}

/** Remove `task`, which must be the inserted object: tasks are replaced, never changed. */
export function removeFrom(columns, task) {
  const column = columns[task.status];
  const index = position(column, task, ORDERS[task.status]);
  if (column[index] === task) column.splice(index, 1);
}

export function sortAll(columns) {
  for (const status of STATUSES) columns[status].sort(ORDERS[status]);
}
