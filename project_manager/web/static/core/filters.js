// Filters of the visible tasks. A filter is part of the address; null means no filter.
import { state as store } from "./store.js";
import { STATUSES } from "./vocabulary.js";

const texts = new WeakMap();
const NOTHING = new Set();

function textOf(task) {
  if (!texts.has(task)) {
    const parts = [
      `#${task.id}`,
      task.name,
      task.description,
      task.external_key ?? "",
      task.lock?.holder ?? "",
      ...task.labels,
    ];
    texts.set(task, parts.join("\n").toLowerCase());
  }
  return texts.get(task);
}

const READY = {
  ready: (task) => task.ready,
  waiting: (task) => task.status === "TODO" && !task.ready,
  held: (task) => task.lock !== null,
};
export const READY_NAMES = { ready: "Ready now", waiting: "Waiting", held: "Locked" };

/**
 * Return one test for all filters of the route, or null without a filter. Archived projects are hidden unless chosen.
 */
export function testOf(route) {
  const tests = [];
  const archived = new Set(
    [...store.projects.values()].filter((project) => project.archived_at).map((project) => project.id)
  );
  if (archived.size && !route.project) tests.push((task) => !archived.has(task.project_id));
  if (route.project) tests.push((task) => task.project_id === route.project);
  if (route.epic) tests.push((task) => task.epic_id === route.epic);
  if (route.label) tests.push((task) => task.labels.includes(route.label));
  if (route.holder) tests.push((task) => task.lock?.holder === route.holder);
  if (READY[route.ready]) tests.push(READY[route.ready]);
  const words = (route.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const further = store.found.q === route.q ? store.found.ids : NOTHING;
  if (words.length) tests.push((task) => words.every((word) => textOf(task).includes(word)) || further.has(task.id));
  return tests.length ? (task) => tests.every((test) => test(task)) : null;
}

let memory = { revision: -1, key: null, columns: {} };

/** Return the old array if it has the same tasks, so that an unchanged column does not render again. */
function settled(before, after) {
  const same = before?.length === after.length && after.every((task, index) => before[index] === task);
  return same ? before : after;
}

/** Return the filtered columns of the board. The object is the same until something changes. */
export function visibleColumns(state) {
  const { project, epic, label, holder, ready, q } = state.route;
  const key = JSON.stringify([state.revision.plans, project, epic, label, holder, ready, q]);
  if (memory.revision === state.revision.tasks && memory.key === key) return memory.columns;
  const test = testOf(state.route);
  const columns = {};
  for (const status of STATUSES) {
    const tasks = test ? state.columns[status].filter(test) : state.columns[status].slice();
    columns[status] = settled(memory.columns[status], tasks);
  }
  memory = { revision: state.revision.tasks, key, columns };
  return columns;
}

/** Return whether the tasks of these columns belong to more than one project. */
export function ofSeveralProjects(columns) {
  const first = Object.values(columns).find((tasks) => tasks.length)?.[0].project_id;
  return Object.values(columns).some((tasks) => tasks.some((task) => task.project_id !== first));
}

/** Return all labels and holders in use, most used first. */
export function inUse(state) {
  const labels = new Map();
  const holders = new Map();
  for (const task of state.tasks.values()) {
    if (state.route.project && task.project_id !== state.route.project) continue;
    for (const label of task.labels) labels.set(label, (labels.get(label) ?? 0) + 1);
    if (task.lock) holders.set(task.lock.holder, (holders.get(task.lock.holder) ?? 0) + 1);
  }
  const names = (counts) => [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
  return { labels: names(labels), holders: names(holders) };
}
