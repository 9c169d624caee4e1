// The rows of the table: tasks that pass the filters, sorted and grouped as in the address.
import { PRIORITY_NAMES, STATUSES, STATUS_NAMES } from "../../core/vocabulary.js";
import { visibleColumns } from "../../state/filters.js";
import { sinceOf } from "../../ui/since.js";

const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const projectOf = (/** @type {State} */ now, /** @type {Task} */ task) => now.projects.get(task.project_id)?.name ?? "";
const epicOf = (/** @type {State} */ now, /** @type {Task} */ task) => now.epics.get(task.epic_id ?? 0)?.name ?? "";
export const agentOf = (/** @type {Task} */ task) => task.lock?.holder ?? task.worked_by ?? "";

/** The columns of the table. `value` is compared to sort: null and "" come last. */
/** @type {TableColumn[]} */
export const COLUMNS = [
  { id: "id", title: "#", value: (now, task) => task.id },
  { id: "name", title: "Name", value: (now, task) => task.name },
  { id: "status", title: "Status", value: (now, task) => STATUSES.indexOf(task.status) },
  { id: "priority", title: "Priority", value: (now, task) => task.priority },
  { id: "project", title: "Project", value: projectOf },
  { id: "epic", title: "Epic", value: epicOf },
  { id: "labels", title: "Labels", value: (now, task) => task.labels.join("\n") },
  { id: "agent", title: "Agent", value: (now, task) => agentOf(task) },
  { id: "since", title: "Time", value: (now, task) => sinceOf(task).at },
  { id: "worked", title: "Worked", value: (now, task) => task.worked_seconds || null },
  { id: "updated", title: "Updated", value: (now, task) => task.updated_at },
  { id: "due", title: "Due", value: (now, task) => task.due_at },
];

/** Columns that are sorted in reverse first: the newest first. */
const NEWEST_FIRST = new Set(["updated"]);

/** Return the next value of `sort` after a press on the head of a column: its order, the reverse one, none. */
export function nextSort(/** @type {string | null} */ sort, /** @type {string} */ column) {
  const first = NEWEST_FIRST.has(column) ? `-${column}` : column;
  const second = NEWEST_FIRST.has(column) ? column : `-${column}`;
  return sort === first ? second : sort === second ? null : first;
}

/** Return a comparison of tasks by a column, or null for the order of the board. */
function comparisonOf(/** @type {State} */ now, /** @type {string | null} */ sort) {
  const column = COLUMNS.find(({ id }) => id === sort?.replace(/^-/, ""));
  if (!column || !sort) return null;
  const sign = sort.startsWith("-") ? -1 : 1;
  /** @type {Map<Task, string | number | null>} */
  const values = new Map();
  const valueOf = (/** @type {Task} */ task) => {
    const known = values.get(task);
    if (known !== undefined) return known;
    const value = column.value(now, task);
    const found = value === "" ? null : value;
    values.set(task, found);
    return found;
  };
  return (/** @type {Task} */ a, /** @type {Task} */ b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    if (left === right) return a.id - b.id;
    if (left === null || right === null) return left === null ? 1 : -1;
    const order = typeof left === "number" ? left - Number(right) : byName.compare(left, String(right));
    return sign * order || a.id - b.id;
  };
}

/** The ways to group: the keys of a task, and the name of a group. "" is the group of tasks without a value. */
/** @type {Record<string, TableGrouping>} */
export const GROUPINGS = {
  status: {
    title: "Status",
    keys: (now, task) => [task.status],
    name: (now, key) => STATUS_NAMES[/** @type {Status} */ (key)],
    order: (key) => STATUSES.indexOf(/** @type {Status} */ (key)),
  },
  priority: {
    title: "Priority",
    keys: (now, task) => [String(task.priority)],
    name: (now, key) => `P${key} ${PRIORITY_NAMES[Number(key)]}`,
    order: Number,
  },
  project: { title: "Project", keys: (now, task) => [projectOf(now, task)], name: (now, key) => key },
  epic: { title: "Epic", keys: (now, task) => [epicOf(now, task)], name: (now, key) => key || "No epic" },
  agent: { title: "Agent", keys: (now, task) => [agentOf(task)], name: (now, key) => key || "No agent" },
  label: {
    title: "Label",
    keys: (now, task) => (task.labels.length ? task.labels : [""]),
    name: (now, key) => key || "No label",
  },
};

/** Return the groups of the sorted tasks, in order. */
function groupsOf(/** @type {State} */ now, /** @type {Task[]} */ tasks, /** @type {TableGrouping} */ grouping) {
  /** @type {Map<string, Task[]>} */
  const groups = new Map();
  for (const task of tasks) {
    for (const key of grouping.keys(now, task)) {
      const group = groups.get(key);
      if (group) group.push(task);
      else groups.set(key, [task]);
    }
  }
  const { order } = grouping;
  /** @type {(a: string, b: string) => number} */
  const compare = order
    ? (a, b) => order(a) - order(b)
    : (a, b) => Number(a === "") - Number(b === "") || byName.compare(a, b);
  return [...groups].sort(([a], [b]) => compare(a, b));
}

/** Ids of rows are numbers: those of tasks, larger ones for a task in a further group, negative ones for groups. */
const COPIES = 2 ** 40;

/** Return the rows: tasks, and before each group its head. Folded groups have a head only. */
/** @param {State} now @param {Set<string>} folded @returns {TableRow[]} */
export function rowsOf(now, folded) {
  const { sort, group } = now.route;
  const columns = visibleColumns(now);
  const tasks = STATUSES.flatMap((status) => columns[status]);
  const comparison = comparisonOf(now, sort);
  if (comparison) tasks.sort(comparison);
  const grouping = Object.hasOwn(GROUPINGS, group ?? "") ? GROUPINGS[group ?? ""] : null;
  if (!grouping) return tasks.map((task) => ({ id: task.id, task }));
  /** @type {Set<number>} */
  const seen = new Set();
  return groupsOf(now, tasks, grouping).flatMap(([key, members], place) => {
    const isFolded = folded.has(`${group}:${key}`);
    /** @type {TableRow} */
    const head = { id: -place - 1, key, name: grouping.name(now, key), count: members.length, folded: isFolded };
    if (isFolded) return [head];
    const rows = members.map((task) => {
      const id = seen.has(task.id) ? task.id + COPIES * (place + 1) : task.id;
      seen.add(task.id);
      return { id, task };
    });
    return [head, ...rows];
  });
}
