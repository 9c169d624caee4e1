// The selected tasks, as ids. Every view that lists tasks shares one selection.
import { LIMITS } from "../core/limits.js";
import { testOf } from "./filters.js";
import { dispatchNow, state } from "./store.js";

/** The largest number of tasks that one request changes. */
export const MAX_EDITED = LIMITS.BULK_TASKS;

/** The task at which a range starts, and the selection before the range. */
let range = { anchor: 0, before: /** @type {Set<number>} */ (new Set()) };

const put = (/** @type {Set<number>} */ selected) => dispatchNow({ type: "selected", selected });

/** Return the selected ids. The set is replaced with every change, never changed. */
export const selectedIds = (/** @type {State} */ now) => now.selected;

export const isSelecting = (/** @type {State} */ now) => now.selected.size > 0;

export function toggleSelected(/** @type {number} */ id) {
  const selected = new Set(state.selected);
  if (!selected.delete(id)) selected.add(id);
  range = { anchor: id, before: selected };
  put(selected);
}

/**
 * Select the tasks between the last toggled task and `id`, in place of the last range. `ids` is the order in the view.
 * Without a start in `ids`, the range starts at `from`.
 */
export function selectRange(/** @type {number[]} */ ids, /** @type {number} */ id, from = id) {
  if (state.selected.size === 0 || !ids.includes(range.anchor)) range = { anchor: from, before: state.selected };
  const ends = [ids.indexOf(range.anchor), ids.indexOf(id)].sort((a, b) => a - b);
  if (ends[0] < 0) toggleSelected(id);
  else put(new Set([...range.before, ...ids.slice(ends[0], ends[1] + 1)]));
}

/** Add the ids to the selection or, if all of them are selected, remove them. */
export function toggleAll(/** @type {number[]} */ ids) {
  const all = ids.every((id) => state.selected.has(id));
  const selected = new Set(state.selected);
  for (const id of ids) {
    if (all) selected.delete(id);
    else selected.add(id);
  }
  put(selected);
}

export function clearSelection() {
  if (state.selected.size) put(new Set());
}

/** Keep the first tasks of the selection that one request can change. */
export const keepFirst = () => put(new Set([...state.selected].slice(0, MAX_EDITED)));

/** Return the ids of all tasks that pass the filters of the page, or without a filter all tasks. */
export function matchingIds() {
  const test = testOf(state.route);
  const tasks = [...state.tasks.values()];
  return (test ? tasks.filter(test) : tasks).map((task) => task.id);
}

export const selectMatching = () => put(new Set(matchingIds()));

/** Return the selected tasks. */
export const selectedTasks = () =>
  [...state.selected].map((id) => state.tasks.get(id)).filter((task) => task !== undefined);
