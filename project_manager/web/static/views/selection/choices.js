// The choices of the actions on one or many tasks: lists, and the question before many tasks change.
import { serverNow } from "../../core/clock.js";
import { bidiIsolate, count, plural, relative } from "../../core/format.js";
import { CLOSED, PRIORITY_NAMES, STATUSES, STATUS_NAMES } from "../../core/vocabulary.js";
import { knownAgents, loadAgents } from "../../state/agents.js";
import { openDialog } from "../../state/dialogs.js";
import { editMany } from "../../state/edit_many.js";
import { inUse } from "../../state/filters.js";
import { epicOptions } from "../../state/options.js";
import { state } from "../../state/store.js";
import { setEpic, setLabels, setPriority } from "../../state/task_edits.js";
import { showError, toast } from "../../state/toasts.js";

/** The largest number of tasks that change without a question. */
const SCREENFUL = 20;

/**
 * Open a palette of `entries`. `present` is the current value, `closing` is never preselected, `keys` is a digit.
 * `typed` returns the entry for a text that is in no entry.
 * @param {string} title @param {Entry[]} entries @param {{ typed?: (text: string) => Entry, none?: boolean }} [options]
 */
export function choose(title, entries, options = {}) {
  openDialog("palette", { title, entries, ...options });
}

/** Return the value that all tasks have, or undefined. */
/** @template Value @param {Task[]} tasks @param {(task: Task) => Value} valueOf */
function shared(tasks, valueOf) {
  const first = valueOf(tasks[0]);
  return tasks.every((task) => valueOf(task) === first) ? first : undefined;
}

const nameOfTasks = (/** @type {Task[]} */ tasks) =>
  (tasks.length === 1 ? `#${tasks[0].id}` : plural(tasks.length, "task"));

/** Return the words for the statuses of the tasks, such as "30 Review, 12 To do". */
function statusWords(/** @type {Task[]} */ tasks) {
  const numbers = STATUSES.map((status) => /** @type {[Status, number]} */ (
    [status, tasks.filter((task) => task.status === status).length]));
  return numbers.filter(([, number]) => number).map(([status, number]) => `${count(number)} ${STATUS_NAMES[status]}`)
    .join(", ");
}

/** Ask before many tasks change. Resolve to the choices of the user, or to null. */
/** @param {ManyQuestion} question @returns {Promise<ManyChoices | null>} */
const ask = (question) => new Promise((resolve) => openDialog("editMany", { ...question, answer: resolve }));

/** @type {Partial<Record<Status, string>>} */
const EFFECTS = {
  DONE: "Tasks that depend on them can become ready. A task with an unmet policy is refused.",
  CANCELLED: "Agents no longer get them, and tasks that depend on them wait.",
};

/** Return the note that a move to To do asks for, as a move of one task does. */
function noteFor(/** @type {Task[]} */ tasks, /** @type {Status} */ status) {
  if (status !== "TODO") return undefined;
  const required = tasks.some((task) => task.status === "REVIEW");
  if (!required && !tasks.some((task) => task.status === "BLOCKED")) return undefined;
  return { label: required ? "What is missing?" : "What should the next agent know?", required };
}

/**
 * Move the tasks after the questions that the move needs. `words` are those of the question and of the result.
 * @param {Task[]} tasks @param {Status} status
 * @param {{ title: string, confirm: string, done: (tasks: string) => string, changes?: Record<string, unknown> }} words
 */
async function moveAll(tasks, status, { title, confirm, done, changes = {} }) {
  const held = tasks.filter((task) => task.lock);
  const reopened = tasks.filter((task) => CLOSED.has(task.status) && task.status !== status).length;
  const note = noteFor(tasks, status);
  const closing = CLOSED.has(status);
  /** @type {ManyChoices | null} */
  let choices = { note: "", force: false };
  if (closing || reopened || held.length || note || tasks.length > SCREENFUL) {
    const body = [`Now: ${statusWords(tasks)}.`, reopened ? `${plural(reopened, "closed task")} will be reopened.` : "",
      EFFECTS[status]].filter(Boolean).join(" ");
    choices = await ask({ title, body, held, note, confirm, danger: closing });
  }
  if (!choices) return;
  const { force } = choices;
  const ids = new Set(held.map(({ id }) => id));
  const sent = force ? tasks : tasks.filter((task) => !ids.has(task.id));
  await editMany({
    tasks: sent,
    changes: { status, ...(reopened ? { reopen: true } : {}), ...changes },
    done,
    note: choices.note,
    force,
    left: tasks.length - sent.length,
  });
}

/** Move the tasks that have another status or a lease. */
export function moveMany(/** @type {Task[]} */ selected, /** @type {Status} */ status) {
  const tasks = selected.filter((task) => task.status !== status || task.lock);
  if (tasks.length === 0) return undefined;
  if (status === "CANCELLED") return cancelMany(tasks);
  const size = plural(tasks.length, "task");
  return moveAll(tasks, status, {
    title: `Move ${size} to ${STATUS_NAMES[status]}?`,
    confirm: `Move ${size}`,
    done: (moved) => `Moved ${moved} to ${STATUS_NAMES[status]}`,
  });
}

export function cancelMany(/** @type {Task[]} */ selected) {
  const tasks = selected.filter((task) => task.status !== "CANCELLED");
  if (tasks.length === 0) {
    toast("They are cancelled already");
    return undefined;
  }
  const size = plural(tasks.length, "task");
  return moveAll(tasks, "CANCELLED", {
    title: `Cancel ${size}?`,
    confirm: `Cancel ${size}`,
    done: (cancelled) => `Cancelled ${cancelled}`,
  });
}

/** Set the tasks TODO without failed attempts. */
export function offerAgain(/** @type {Task[]} */ tasks) {
  const size = plural(tasks.length, "task");
  return moveAll(tasks, "TODO", {
    title: `Offer ${size} again?`,
    confirm: `Offer ${size}`,
    done: (offered) => `Offered ${offered} again`,
    changes: { attempts: 0 },
  });
}

/**
 * Edit the fields of the tasks. More than a screenful of tasks needs a confirmation.
 * @param {Task[]} tasks @param {Record<string, unknown>} changes @param {string} action
 * @param {EditMany["done"]} done
 */
async function edit(tasks, changes, action, done) {
  const confirm = `Change ${plural(tasks.length, "task")}`;
  if (tasks.length > SCREENFUL && !(await ask({ title: `${action}?`, body: `Now: ${statusWords(tasks)}.`, confirm }))) {
    return;
  }
  await editMany({ tasks, changes, done });
}

export function askMoveMany(/** @type {Task[]} */ tasks) {
  const present = shared(tasks, (task) => task.status);
  const entries = STATUSES.map((status) => ({
    id: status,
    status,
    name: STATUS_NAMES[status],
    closing: CLOSED.has(status),
    present: status === present,
    run: () => status !== present && moveMany(tasks, status),
  }));
  choose(`Move ${plural(tasks.length, "task")} to…`, entries, { none: present === undefined });
}

export function askPriority(/** @type {Task[]} */ tasks) {
  const present = shared(tasks, (task) => task.priority);
  const size = plural(tasks.length, "task");
  const set = (/** @type {number} */ priority, /** @type {string} */ name) =>
    (tasks.length === 1
      ? setPriority(tasks[0], priority)
      : edit(tasks, { priority }, `Set ${size} to ${name}`, (changed) => `Set ${changed} to ${name}`));
  const entries = PRIORITY_NAMES.map((word, priority) => {
    const name = `P${priority} ${word}`;
    const run = () => priority !== present && set(priority, name);
    return { id: `p${priority}`, icon: "flag", name, keys: String(priority), present: priority === present, run };
  });
  choose(`Priority of ${nameOfTasks(tasks)}`, entries, { none: present === undefined });
}

function addLabel(/** @type {Task[]} */ tasks, /** @type {string} */ label) {
  const [task] = tasks;
  if (tasks.length === 1) return setLabels(task, [...task.labels, label]);
  const name = bidiIsolate(label);
  const action = `Add ${name} to ${plural(tasks.length, "task")}`;
  return edit(tasks, { add_labels: [label] }, action, (changed) => `Added ${name} to ${changed}`);
}

function removeLabel(/** @type {Task[]} */ tasks, /** @type {string} */ label) {
  const [task] = tasks;
  if (tasks.length === 1) return setLabels(task, task.labels.filter((name) => name !== label));
  const name = bidiIsolate(label);
  const having = tasks.filter((one) => one.labels.includes(label));
  const action = `Remove ${name} from ${plural(having.length, "task")}`;
  return edit(having, { remove_labels: [label] }, action, (changed) => `Removed ${name} from ${changed}`);
}

/** Offer to add labels in use, a new one, or to remove one that some of the tasks have. */
export function askLabels(/** @type {Task[]} */ tasks) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  for (const task of tasks) for (const label of task.labels) numbers.set(label, (numbers.get(label) ?? 0) + 1);
  const remove = [...numbers].map(([label, number], index) => ({
    id: `remove-${index}`,
    icon: "close",
    name: `Remove ${bidiIsolate(label)}`,
    kind: tasks.length === 1 ? "" : `from ${count(number)}`,
    run: () => removeLabel(tasks, label),
  }));
  const missing = [...new Set([...inUse(state).labels, ...numbers.keys()])]
    .filter((label) => numbers.get(label) !== tasks.length);
  const add = missing.map((label, index) => ({
    id: `add-${index}`,
    icon: "plus",
    name: label,
    kind: tasks.length === 1 ? "" : `add to ${count(tasks.length - (numbers.get(label) ?? 0))}`,
    run: () => addLabel(tasks, label),
  }));
  choose(`Labels of ${nameOfTasks(tasks)}`, [...add, ...remove], {
    none: true,
    typed: (text) => ({ id: "new", icon: "plus", name: text, kind: "new label", run: () => addLabel(tasks, text) }),
  });
}

function moveToEpic(/** @type {Task[]} */ tasks, /** @type {number | null} */ epic) {
  if (tasks.length === 1) return setEpic(tasks[0], epic);
  const name = bidiIsolate(state.epics.get(epic ?? 0)?.name ?? "");
  const size = plural(tasks.length, "task");
  const [action, done, where] = epic
    ? ["Move", "Moved", `to the epic ${name}`]
    : ["Take", "Took", "out of their epics"];
  return edit(tasks, { epic_id: epic }, `${action} ${size} ${where}`, (moved) => `${done} ${moved} ${where}`);
}

/** Offer the epics of the project of the tasks. */
export function askEpic(/** @type {Task[]} */ tasks) {
  const present = shared(tasks, (task) => task.epic_id);
  const project = shared(tasks, (task) => task.project_id);
  const projects = new Set(tasks.map((task) => task.project_id));
  const options = epicOptions(project ?? null)
    .filter(([id]) => projects.has(state.epics.get(Number(id))?.project_id ?? 0));
  /** @type {[number | null, string][]} */
  const choices = [[null, "No epic"], ...options.map(([id, name]) => /** @type {[number, string]} */ ([id, name]))];
  const entries = choices.map(([id, name]) => ({
    id: `epic-${id}`,
    icon: id ? "flag" : "close",
    name,
    present: id === present,
    run: () => id !== present && moveToEpic(tasks, id),
  }));
  choose(`Epic of ${nameOfTasks(tasks)}`, entries, { none: present === undefined });
}

/** Offer the agents that made a call lately. An offer is for tasks in TODO, and for some minutes. */
export async function askAgent(/** @type {Task[]} */ tasks) {
  try {
    await loadAgents();
  } catch (error) {
    showError(error);
    return;
  }
  const agents = knownAgents().sort((a, b) => b.last_seen.localeCompare(a.last_seen));
  const size = plural(tasks.length, "task");
  const offer = (/** @type {string | null} */ id, /** @type {string} */ words) =>
    edit(tasks, { assigned_to: id }, `Offer ${size} ${words}`, (offered) => `Offered ${offered} ${words}`);
  const entries = agents.map((agent, index) => ({
    id: `agent-${index}`,
    icon: "agents",
    name: agent.id,
    kind: `seen ${relative(agent.last_seen, serverNow())}`,
    run: () => offer(agent.id, `to ${bidiIsolate(agent.id)} first`),
  }));
  const all = { id: "all", icon: "close", name: "Any agent", run: () => offer(null, "to all agents") };
  choose(`Offer ${nameOfTasks(tasks)} first to…`, [...entries, all], { none: true });
}
