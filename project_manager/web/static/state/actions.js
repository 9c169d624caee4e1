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
import { actOn, recordFinal, showUndoable, trackWrite } from "./undo.js";

const NAME_SHOWN = 60;
const path = (/** @type {Task} */ task) => `/api/tasks/${task.id}`;

/** Return the number and name of a task for a sentence. */
export const nameOf = (/** @type {Task} */ task) => `#${task.id} ${bidiIsolate(truncate(task.name, NAME_SHOWN))}`;

export const updateTask = (/** @type {Task} */ task) => dispatchNow({ type: "tasks", tasks: [task] });

/** Run one write to a task. Return its answer, or null after an error message. */
export async function write(/** @type {Task} */ task, /** @type {() => Promise<any>} */ call) {
  dispatchNow({ type: "pending", id: task.id, on: true });
  const sent = call();
  trackWrite(sent);
  try {
    return await sent;
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

export async function releaseTask(/** @type {Task} */ task) {
  if (!task.lock) return;
  const mine = task.lock.holder === state.session?.actor?.id;
  if (!mine && !(await confirmTakeOver(task, task.lock, "Releasing it", "Force release"))) return;
  const answer = await write(task, () => remove(`${path(task)}/lock`, { body: mine ? {} : { force: true } }));
  if (answer) {
    updateTask(answer.task);
    const name = `Released ${nameOf(task)} to ${STATUS_NAMES[/** @type {Status} */ (answer.task.status)]}`;
    recordFinal(name, "A lease that has ended does not come back.");
    toast(name);
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
    recordFinal(`You locked ${nameOf(task)}`, "Release the task to give up the lease.");
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
    const name = `Lease of ${bidiIsolate(holder)} extended`;
    recordFinal(name, "The agent already knows the new time.");
    toast(`${name}; ${countdown(ttl * 1000)} left`);
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
  const send = (/** @type {{ name: string }} */ body) => patch(path(task), body, task.version);
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

export async function deleteTask(/** @type {Task} */ task) {
  const held = task.lock ? ` ${bidiIsolate(task.lock.holder)} is working on it; its writes will be rejected.` : "";
  const body = `Its log is deleted too.${held} This cannot be undone; set it to Cancelled to keep it.`;
  if (!(await confirmDialog({ title: `Delete ${nameOf(task)}?`, body, confirm: "Delete", danger: true }))) return false;
  const options = { body: task.lock ? { force: true } : undefined, version: task.version };
  const answer = await write(task, () => remove(path(task), options));
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
  const entry = await post(`${path(task)}/log`, { kind, body });
  recordFinal(`Added to the log of ${nameOf(task)}`, "Entries of the log stay. Add another one.");
  return entry;
}

export const readDetails = (/** @type {number} */ id, /** @type {number | undefined} */ before = undefined) =>
  get(`/api/tasks/${id}/details`, { log_limit: 50, before });
export const readEvents = (/** @type {number} */ id) => fetchAll(`/api/tasks/${id}/events`);
