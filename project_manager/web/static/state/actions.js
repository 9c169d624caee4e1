// Other actions of the user: open the form of a task, project or epic, delete a task, copy its link, add to its log.
import { post, remove } from "../core/api.js";
import { copyText } from "../core/clipboard.js";
import { bidiIsolate } from "../core/format.js";
import { confirmDialog, openDialog } from "./dialogs.js";
import { hrefOf } from "./route.js";
import { dispatchNow } from "./store.js";
import { readPlan, readTask } from "./sync.js";
import { nameOf, taskPath, write } from "./task_writes.js";
import { showError, toast } from "./toasts.js";
import { recordFinal } from "./undo.js";

/** Open the form with the full task, so that saving it cannot truncate a description. */
export async function editTask(/** @type {Task} */ task) {
  try {
    openDialog("task", { task: task.description_truncated ? await readTask(task.id) : task });
  } catch (error) {
    showError(error);
  }
}

/** Open the form of a project or an epic with its full row. */
export async function editPlan(/** @type {"project" | "epic"} */ kind, /** @type {Project | Epic} */ item) {
  try {
    openDialog(kind, { [kind]: item.description_truncated ? await readPlan(kind, item.id) : item });
  } catch (error) {
    showError(error);
  }
}

export async function deleteTask(/** @type {Task} */ task) {
  const held = task.lock ? ` ${bidiIsolate(task.lock.holder)} is working on it; its writes will be rejected.` : "";
  const body = `Its log is deleted too.${held} This cannot be undone; set it to Cancelled to keep it.`;
  if (!(await confirmDialog({ title: `Delete ${nameOf(task)}?`, body, confirm: "Delete", danger: true }))) return false;
  const options = { body: task.lock ? { force: true } : undefined, version: task.version };
  const answer = await write(task, () => remove(taskPath(task), options));
  if (!answer) return false;
  dispatchNow({ type: "tasks", tasks: [], gone: [task.id] });
  recordFinal(`Deleted ${nameOf(task)}`, "The task and its log no longer exist.");
  toast(`Deleted ${nameOf(task)}`);
  return true;
}

export async function copyLink(/** @type {Task} */ task) {
  const copied = await copyText(location.origin + hrefOf({ view: "board", task: task.id }));
  toast(copied ? "Link copied" : "The link could not be copied");
}

/** Add an entry to the log. Throw ApiError. */
export async function addLog(/** @type {Task} */ task, /** @type {string} */ kind, /** @type {string} */ body) {
  const entry = await post(`${taskPath(task)}/log`, { kind, body });
  recordFinal(`Added to the log of ${nameOf(task)}`, "Entries of the log stay. Add another one.");
  return entry;
}
