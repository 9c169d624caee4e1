// Writes to tasks by the user: applied to the page at once, sent, and reverted if the server refuses.
import { get, patch, post, put, remove } from "../core/api.js";
import { copyText } from "../core/clipboard.js";
import { serverNow } from "../core/clock.js";
import { bidiIsolate, countdown, truncate } from "../core/format.js";
import { CLOSED, PRIORITY_NAMES, STATUS_NAMES, isOperator } from "../core/vocabulary.js";
import { confirmDialog, openDialog } from "./dialogs.js";
import { askComment, clearComment } from "./move_comments.js";
import { fetchAll } from "./pages.js";
import { hrefOf } from "./route.js";
import { dispatchNow, state } from "./store.js";
import { markDirty, readPlan, readTask } from "./sync.js";
import { showError, toast } from "./toasts.js";
import { showUndoableToast } from "./undo.js";

const NAME_SHOWN = 60;
const path = (/** @type {Task} */ task) => `/api/tasks/${task.id}`;

/** Return the number and name of a task for a sentence. */
export const nameOf = (/** @type {Task} */ task) => `#${task.id} ${bidiIsolate(truncate(task.name, NAME_SHOWN))}`;

export const updateTask = (/** @type {Task} */ task) => dispatchNow({ type: "tasks", tasks: [task] });

/** Run one write to a task. Return its answer, or null after an error message. */
export async function write(/** @type {Task} */ task, /** @type {() => Promise<any>} */ call) {
  dispatchNow({ type: "pending", id: task.id, on: true });
  try {
    return await call();
  } catch (error) {
    showError(error);
    return null;
  } finally {
    dispatchNow({ type: "pending", id: task.id, on: false });
    markDirty([task.id]);
  }
}

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

function remainingTime(/** @type {LockHolder} */ lock) {
  return countdown(Date.parse(lock.expires_at) - serverNow());
}

/** Confirm that `action`, such as "Releasing it", ends the lease. `confirm` is the text of the button. */
/** @param {Task} task @param {LockHolder} lock @param {string} action @param {string} confirm */
export function confirmTakeOver(task, lock, action, confirm) {
  const holder = bidiIsolate(lock.holder);
  const present = `${nameOf(task)} is locked by ${holder} for another ${remainingTime(lock)}.`;
  return confirmDialog({
    title: `${holder} is ${lock.kind === "review" ? "reviewing" : "working on"} this`,
    body: `${present} ${action} ends the lease now; later writes of the agent are rejected.`,
    confirm,
    danger: true,
  });
}

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

/**
 * Send the body. If a lease started meanwhile, ask for confirmation of `action` and send it again.
 * @template Body @param {Task} task @param {Body & { force?: boolean }} body @param {string} action
 * @param {string} confirm @param {(body: Body) => Promise<any>} send
 */
async function sendOrTakeOver(task, body, action, confirm, send) {
  try {
    return await send(body);
  } catch (error) {
    if (error.code !== "lock_held" || body.force) throw error;
    const yes = await confirmTakeOver(task, error.details, action, confirm);
    return yes ? send({ ...body, force: true }) : null;
  }
}

/** Send the move. If the policy of the project forbids it, an operator may confirm it. */
async function postMove(/** @type {Task} */ task, /** @type {Move} */ body) {
  const send = (/** @type {Move} */ sent) => post(`${path(task)}/status`, sent);
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
/** @param {Task} task @param {Status} status @param {{ note?: string, title?: string, quiet?: boolean }} options */
export async function moveTask(task, status, { note, title, quiet = false } = {}) {
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
  const one = `Moved ${nameOf(task)} to ${STATUS_NAMES[status]}`;
  if (quiet || options.force) toast(one);
  else showUndoableToast("move", task.id, { one, status, many: movedSummary, back: () => undoMove(moved, now.status) });
  return moved;
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

function movedSummary(/** @type {Undoable[]} */ acts) {
  const { status } = acts[0];
  const same = acts.every((act) => act.status === status);
  return `Moved ${acts.length} tasks${status && same ? ` to ${STATUS_NAMES[status]}` : ""}`;
}

/** Move the task back. Return a sentence about it, or null if that failed. */
async function undoMove(/** @type {Task} */ task, /** @type {Status} */ status) {
  const now = state.tasks.get(task.id) ?? task;
  const answer = await write(now, () => postMove(now, { status, ...(CLOSED.has(now.status) ? { reopen: true } : {}) }));
  if (!answer) return null;
  updateTask(answer.task);
  return `${nameOf(task)} is back in ${STATUS_NAMES[status]}`;
}

export async function releaseTask(/** @type {Task} */ task) {
  if (!task.lock) return;
  const mine = task.lock.holder === state.session?.actor?.id;
  if (!mine && !(await confirmTakeOver(task, task.lock, "Releasing it", "Force release"))) return;
  const answer = await write(task, () => remove(`${path(task)}/lock`, { body: mine ? {} : { force: true } }));
  if (answer) {
    updateTask(answer.task);
    toast(`Released ${nameOf(task)} to ${STATUS_NAMES[/** @type {Status} */ (answer.task.status)]}`);
  }
}

/** End the present lease and claim the task in one step, so that no waiting agent gets it in between. */
export async function takeOver(/** @type {Task} */ task) {
  if (task.lock && (await confirmTakeOver(task, task.lock, "Taking it over", "Take over"))) {
    await claimTask(task, { force: true });
  }
}

export async function claimTask(/** @type {Task} */ task, options = {}) {
  const answer = await write(task, () => post(`${path(task)}/lock`, { ttl_seconds: 3600, ...options }));
  if (answer) {
    updateTask(answer.task);
    toast(`You locked ${nameOf(task)}`);
  }
}

/**
 * Extend the lease of the holder. Send the fence only if the lease requires it, because sending one makes it required.
 */
export async function extendTask(/** @type {Task} */ task, /** @type {number} */ ttl) {
  if (!task.lock) return;
  const { holder, fence } = task.lock;
  const body = { agent_id: holder, ttl_seconds: ttl };
  const answer = await write(task, async () => {
    try {
      return await put(`${path(task)}/lock`, body);
    } catch (error) {
      if (error.code !== "fence_required") throw error;
      return put(`${path(task)}/lock`, { ...body, fence });
    }
  });
  if (answer) {
    updateTask(answer.task);
    toast(`Lease of ${bidiIsolate(holder)} extended; ${countdown(ttl * 1000)} left`);
  }
}

/** Change fields of a task (priority, labels). Return the new task or null. */
export async function changeTask(/** @type {Task} */ task, /** @type {Record<string, unknown>} */ fields) {
  const answer = await write(task, () =>
    sendOrTakeOver(task, fields, "Changing it", "Take over and change", (sent) =>
      patch(path(task), sent, task.version)));
  if (answer) updateTask(answer);
  return answer;
}

const priorityOf = (/** @type {number} */ value) => `P${value} ${PRIORITY_NAMES[value]}`;

/** Set the priority, and offer to undo that. */
export async function setPriority(/** @type {Task} */ task, /** @type {number} */ priority) {
  if (task.priority === priority || !(await changeTask(task, { priority }))) return;
  showUndoableToast("priority", task.id, {
    one: `${nameOf(task)} is ${priorityOf(priority)} now`,
    many: (acts) => `Changed the priority of ${acts.length} tasks`,
    back: () => undoPriority(task),
  });
}

async function undoPriority(/** @type {{ id: number, priority: number }} */ { id, priority }) {
  const now = state.tasks.get(id);
  return now && (await changeTask(now, { priority })) ? `${nameOf(now)} is ${priorityOf(priority)} again` : null;
}

export async function deleteTask(/** @type {Task} */ task) {
  const held = task.lock ? ` ${bidiIsolate(task.lock.holder)} is working on it; its writes will be rejected.` : "";
  const body = `Its log is deleted too.${held} This cannot be undone; set it to Cancelled to keep it.`;
  if (!(await confirmDialog({ title: `Delete ${nameOf(task)}?`, body, confirm: "Delete", danger: true }))) return false;
  const options = { body: task.lock ? { force: true } : undefined, version: task.version };
  const answer = await write(task, () => remove(path(task), options));
  if (!answer) return false;
  dispatchNow({ type: "tasks", tasks: [], gone: [task.id] });
  toast(`Deleted ${nameOf(task)}`);
  return true;
}

export async function copyLink(/** @type {Task} */ task) {
  const copied = await copyText(location.origin + hrefOf({ view: "board", task: task.id }));
  toast(copied ? "Link copied" : "The link could not be copied");
}

export const addLog = (/** @type {Task} */ task, /** @type {string} */ kind, /** @type {string} */ body) =>
  post(`${path(task)}/log`, { kind, body });
export const readDetails = (/** @type {number} */ id, /** @type {number | undefined} */ before = undefined) =>
  get(`/api/tasks/${id}/details`, { log_limit: 50, before });
export const readEvents = (/** @type {number} */ id) => fetchAll(`/api/tasks/${id}/events`);
