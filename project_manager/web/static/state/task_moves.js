// Moves of a task to another status: applied to the page at once, sent, and reverted if the server refuses.
import { post } from "../core/api.js";
import { CLOSED, STATUS_NAMES, isOperator } from "../core/vocabulary.js";
import { confirmDialog } from "./dialogs.js";
import { askComment, clearComment } from "./move_comments.js";
import { state } from "./store.js";
import { readDetails } from "./task_details.js";
import { confirmTakeOver, nameOf, sendOrTakeOver, taskPath, updateTask, write } from "./task_writes.js";
import { showError, toast } from "./toasts.js";
import { actOn, recordFinal, showUndoable } from "./undo.js";

/** Ask whether the user, an operator, sets a task DONE although the policy of its project forbids it. */
function confirmUnmet(/** @type {Task} */ task, /** @type {string[]} */ missing) {
  const rest = task.status === "REVIEW" ? "Accept the submission, or wait for the rest" : "Wait for the rest";
  return confirmDialog({
    title: `${nameOf(task)} is not ready to be done`,
    body: `The policy of its project still needs the following. ${rest}, or set it Done without: the log records that, `
      + "and the task is shown as not verified.",
    list: missing,
    confirm: "Set Done anyway",
    danger: true,
  });
}

/**
 * Ask before a move to DONE by force, which ends a lease, also overrides the policy. Return whether to continue.
 * @param {Task} task @param {Status} status
 */
async function confirmForce(task, status) {
  if (status !== "DONE") return true;
  try {
    const { missing = [] } = await readDetails(task.id);
    return missing.length === 0 || (await confirmUnmet(task, missing));
  } catch (error) {
    showError(error);
    return false;
  }
}

async function confirmMove(/** @type {Task} */ task, /** @type {Status} */ status) {
  /** @type {Partial<Move>} */
  const options = {};
  if (CLOSED.has(task.status)) {
    const title = `Reopen ${nameOf(task)}?`;
    const present = `It is ${STATUS_NAMES[task.status].toLowerCase()}.`;
    const body = `${present} It moves to ${STATUS_NAMES[status]}; tasks that depend on it wait again.`;
    if (!(await confirmDialog({ title, body, confirm: "Reopen" }))) return null;
    options.reopen = true;
  }
  if (task.lock) {
    const action = `Moving it to ${STATUS_NAMES[status]}`;
    if (!(await confirmTakeOver(task, task.lock, action, "Take over and move"))) return null;
    if (!(await confirmForce(task, status))) return null;
    options.force = true;
  }
  return options;
}

/** Send the move. If the policy of the project forbids it, an operator may confirm it. */
async function postMove(/** @type {Task} */ task, /** @type {Move} */ body) {
  const send = (/** @type {Move} */ sent) => post(`${taskPath(task)}/status`, sent);
  try {
    return await sendOrTakeOver(task, body, `Moving it to ${STATUS_NAMES[body.status]}`, "Take over and move", send);
  } catch (error) {
    if (error.code !== "policy_unmet" || !isOperator(state.session)) throw error;
    return (await confirmUnmet(task, error.details.missing)) ? send({ ...body, force: true }) : null;
  }
}

/**
 * Move the task, with `note` as a log entry of the same transaction. Some moves ask for a comment, under `title`.
 * Return the task or null.
 */
/** @param {Task} task @param {Status} status @param {{ note?: string, title?: string }} options */
export async function moveTask(task, status, { note, title } = {}) {
  if (task.status === status) return null;
  const comment = note ?? (await askComment(task, status, title));
  if (comment === null) return null;
  // The task may have changed while the dialog was open.
  const now = state.tasks.get(task.id) ?? task;
  const options = await confirmMove(now, status);
  if (options === null) return null;
  const moved = await applyMove(now, { status, ...options, ...(comment ? { note: comment } : {}) });
  if (!moved) return null;
  clearComment(task, status);
  reportMove(now, moved, Boolean(options.force));
  return moved;
}

/** Show what the move did, and record how to undo it. A lease that it ended does not come back. */
function reportMove(/** @type {Task} */ before, /** @type {Task} */ moved, /** @type {boolean} */ forced) {
  const { status } = moved;
  const name = `Moved ${nameOf(moved)} to ${STATUS_NAMES[status]}`;
  if (forced) {
    recordFinal(name, "It ended a lease, and the agent has got the order to stop.");
    toast(name);
    return;
  }
  const former = {
    status: before.status,
    ...(CLOSED.has(status) ? { reopen: true } : {}),
    ...(before.attempts === moved.attempts ? {} : { attempts: before.attempts }),
  };
  const act = actOn(name, before, moved, former, `${nameOf(moved)} is back in ${STATUS_NAMES[before.status]}`);
  showUndoable("move", { ...act, status }, movedSummary);
}

/** Show the move at once and send it. Revert it if the server refuses. */
async function applyMove(/** @type {Task} */ task, /** @type {Move} */ body) {
  const { status } = body;
  updateTask({ ...task, status, lock: status === "IN_PROGRESS" ? task.lock : null, ready: false });
  const answer = await write(task, () => postMove(task, body));
  if (answer) updateTask(answer.task);
  else if (state.tasks.has(task.id)) updateTask(task);
  return answer?.task ?? null;
}

function movedSummary(/** @type {Act[]} */ acts, /** @type {number} */ tasks) {
  const { status } = acts[0];
  const same = acts.every((act) => act.status === status);
  return `Moved ${tasks} tasks${status && same ? ` to ${STATUS_NAMES[status]}` : ""}`;
}
