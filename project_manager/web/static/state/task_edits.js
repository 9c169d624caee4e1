// Edits of the fields of a task, and their undo.
import { patch } from "../core/api.js";
import { bidiIsolate, truncate } from "../core/format.js";
import { PRIORITY_NAMES } from "../core/vocabulary.js";
import { state } from "./store.js";
import { NAME_SHOWN, nameOf, sendOrTakeOver, taskPath, updateTask, write } from "./task_writes.js";
import { toast } from "./toasts.js";
import { actOn, showUndoable, trackWrite } from "./undo.js";

/** Change fields of a task (priority, labels). Return the new task or null. */
export async function changeTask(/** @type {Task} */ task, /** @type {Record<string, unknown>} */ fields) {
  const answer = await write(task, () =>
    sendOrTakeOver(task, fields, "Changing it", "Take over and change", (sent) =>
      patch(taskPath(task), sent, task.version)));
  if (answer) updateTask(answer);
  return answer;
}

/** Return the values of the task that `changed` replaced. */
/** @param {Task} task @param {Task} changed @param {string[]} names @returns {Record<string, unknown>} */
function formerOf(task, changed, names) {
  const before = /** @type {Record<string, any>} */ (task);
  const after = /** @type {Record<string, any>} */ (changed);
  const differ = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  return Object.fromEntries(differ.map((name) => [name, before[name]]));
}

/**
 * Show what an edit did, and record how to undo it. `task` has the values before. Changes of one `kind` with `many`
 * share a message.
 * @param {Task} task @param {Task} changed @param {string[]} names
 * @param {{ kind?: string, name: string, undone?: string, many?: (acts: Act[], tasks: number) => string }} words
 */
export function reportChange(task, changed, names, { kind = "change", name, undone = `${name}: undone`, many }) {
  const former = formerOf(task, changed, names);
  if (Object.keys(former).length === 0) toast(name);
  else showUndoable(kind, actOn(name, task, changed, former, undone), many);
}

const priorityOf = (/** @type {number} */ value) => `P${value} ${PRIORITY_NAMES[value]}`;

/** Set the priority, and offer to undo that. */
export async function setPriority(/** @type {Task} */ task, /** @type {number} */ priority) {
  if (task.priority === priority) return;
  const changed = await changeTask(task, { priority });
  if (!changed) return;
  reportChange(task, changed, ["priority"], {
    kind: "priority",
    name: `${nameOf(task)} is ${priorityOf(priority)} now`,
    undone: `${nameOf(task)} is ${priorityOf(task.priority)} again`,
    many: (_, tasks) => `Changed the priority of ${tasks} tasks`,
  });
}

/** Change one field and show `name`; the undo says `undone`. */
/** @param {Task} task @param {Record<string, unknown>} fields @param {{ name: string, undone: string }} words */
async function changeField(task, fields, words) {
  const changed = await changeTask(task, fields);
  if (changed) reportChange(task, changed, Object.keys(fields), words);
  return changed;
}

export const setLabels = (/** @type {Task} */ task, /** @type {string[]} */ labels) =>
  changeField(task, { labels }, {
    name: `Changed the labels of ${nameOf(task)}`, undone: `${nameOf(task)} has its former labels again`,
  });

export const setEpic = (/** @type {Task} */ task, /** @type {number | null} */ epic) =>
  changeField(task, { epic_id: epic }, {
    name: epic
      ? `Moved ${nameOf(task)} to the epic ${bidiIsolate(state.epics.get(epic)?.name ?? "")}`
      : `Took ${nameOf(task)} out of its epic`,
    undone: `${nameOf(task)} is in its former epic again`,
  });

/** Rename the task. Return the new task, or null if the user cancels. Throw ApiError. */
export async function renameTask(/** @type {Task} */ task, /** @type {string} */ name) {
  const send = (/** @type {{ name: string }} */ body) => patch(taskPath(task), body, task.version);
  const sent = sendOrTakeOver(task, { name }, "Changing it", "Take over and change", send);
  trackWrite(sent);
  const changed = await sent;
  if (!changed) return null;
  updateTask(changed);
  reportChange(task, changed, ["name"], {
    name: `Renamed #${task.id} to ${bidiIsolate(truncate(changed.name, NAME_SHOWN))}`,
    undone: `${nameOf(task)} has its former name again`,
  });
  return changed;
}
