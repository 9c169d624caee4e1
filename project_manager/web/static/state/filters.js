// Filters of the visible tasks. A filter is part of the address; null means no filter.
import { serverNow } from "../core/clock.js";
import { DAY, HOUR, MINUTE } from "../core/format.js";
import { STATUSES } from "../core/vocabulary.js";
import { emptyColumns } from "./order.js";
import { FILTERS } from "./route.js";
import { state as store } from "./store.js";

/** @type {WeakMap<Task, string>} */
const texts = new WeakMap();
const NOTHING = new Set();

function textOf(/** @type {Task} */ task) {
  const known = texts.get(task);
  if (known !== undefined) return known;
  const { id, name, description, external_key: key, lock, labels } = task;
  const text = [`#${id}`, name, description, key ?? "", lock?.holder ?? "", ...labels].join("\n").toLowerCase();
  texts.set(task, text);
  return text;
}

/** @type {Record<string, TaskTest>} */
const READY = {
  ready: (task) => task.ready,
  waiting: (task) => task.status === "TODO" && !task.ready,
  held: (task) => task.lock !== null,
};

/** @type {Record<string, number>} */
const LENGTHS = { "1h": HOUR, "24h": DAY, "7d": 7 * DAY };

/** Return the time from which on a task must have changed. `kind` is one of CHANGED_NAMES, or a date. */
function changedSince(/** @type {string} */ kind) {
  const now = serverNow();
  if (LENGTHS[kind]) return now - LENGTHS[kind];
  return kind === "today" ? new Date(now).setHours(0, 0, 0, 0) : Date.parse(`${kind}T00:00`);
}

/** Return a test for the time of the last change. */
function changedTest(/** @type {string} */ kind) {
  const since = new Date(changedSince(kind)).toISOString();
  return (/** @type {Task} */ task) => task.updated_at >= since;
}

/** @type {[name: RouteName, test: (task: Task, value: any) => boolean][]} */
const TESTS = [
  ["project", (task, id) => task.project_id === id],
  ["epic", (task, id) => task.epic_id === id],
  ["label", (task, labels) => labels.every((/** @type {string} */ label) => task.labels.includes(label))],
  ["priority", (task, priorities) => priorities.includes(String(task.priority))],
  ["holder", (task, holder) => task.lock?.holder === holder],
  ["created_by", (task, author) => task.created_by === author],
  ["ready", (task, kind) => READY[kind](task)],
  ["worked_by", (task, agent) => task.worked_by === agent],
  ["completed_since", (task, since) => task.completed_at !== null && task.completed_at >= since],
  ["completed_until", (task, until) => task.completed_at !== null && task.completed_at < until],
];

/** Return a test for words in the task, or in the part of its description that only the server has. */
function searchOf(/** @type {string} */ q) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const further = store.found.q === q ? store.found.ids : NOTHING;
  return (/** @type {Task} */ task) => words.every((word) => textOf(task).includes(word)) || further.has(task.id);
}

/**
 * Return one test for all filters of the route, or null without a filter. Archived projects are hidden unless chosen.
 */
export function testOf(/** @type {Partial<Route>} */ route) {
  const chosen = TESTS.filter(([name]) => route[name]);
  /** @type {TaskTest[]} */
  const tests = chosen.map(([name, test]) => (task) => test(task, route[name]));
  const archived = new Set([...store.projects.values()].filter((item) => item.archived_at).map((item) => item.id));
  if (archived.size && !route.project) tests.push((task) => !archived.has(task.project_id));
  if (route.changed) tests.push(changedTest(route.changed));
  if (route.q?.trim()) tests.push(searchOf(route.q));
  return tests.length ? (/** @type {Task} */ task) => tests.every((test) => test(task)) : null;
}

let memory = { revision: -1, key: "", columns: emptyColumns() };

/** Return the old array if it has the same tasks, so that an unchanged column does not render again. */
function settled(/** @type {Task[]} */ before, /** @type {Task[]} */ after) {
  const same = before.length === after.length && after.every((task, index) => before[index] === task);
  return same ? before : after;
}

/** Return a text that changes with the filters, and each minute with a filter that depends on the time. */
export const keyOfFilters = (/** @type {Route} */ route) =>
  JSON.stringify([FILTERS.map((name) => route[name]), route.changed && Math.floor(serverNow() / MINUTE)]);

/** Return the filtered columns of the board. The object is the same until something changes. */
export function visibleColumns(/** @type {State} */ state) {
  const key = `${state.revision.plans} ${keyOfFilters(state.route)}`;
  if (memory.revision === state.revision.tasks && memory.key === key) return memory.columns;
  const test = testOf(state.route);
  const columns = emptyColumns();
  for (const status of STATUSES) {
    const tasks = test ? state.columns[status].filter(test) : state.columns[status].slice();
    columns[status] = settled(memory.columns[status], tasks);
  }
  memory = { revision: state.revision.tasks, key, columns };
  return columns;
}

/** Return whether the tasks of these columns belong to more than one project. */
export function ofSeveralProjects(/** @type {Columns} */ columns) {
  const first = Object.values(columns).find((tasks) => tasks.length)?.[0].project_id;
  return Object.values(columns).some((tasks) => tasks.some((task) => task.project_id !== first));
}

const increase = (/** @type {Map<string, number>} */ counts, /** @type {string | null | undefined} */ name) =>
  name && counts.set(name, (counts.get(name) ?? 0) + 1);

/** Return all labels, holders, agents and authors in use, most used first. */
export function inUse(/** @type {State} */ state) {
  /** @type {Record<"labels" | "holders" | "workers" | "authors", Map<string, number>>} */
  const counts = { labels: new Map(), holders: new Map(), workers: new Map(), authors: new Map() };
  for (const task of state.tasks.values()) {
    if (state.route.project && task.project_id !== state.route.project) continue;
    for (const label of task.labels) increase(counts.labels, label);
    increase(counts.holders, task.lock?.holder);
    increase(counts.workers, task.worked_by);
    increase(counts.authors, task.created_by);
  }
  const names = (/** @type {Map<string, number>} */ found) =>
    [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
  const { labels, holders, workers, authors } = counts;
  return { labels: names(labels), holders: names(holders), workers: names(workers), authors: names(authors) };
}
