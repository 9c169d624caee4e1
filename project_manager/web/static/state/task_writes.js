// Parts of every write to a task by the user: the name in messages, the confirmation that ends a lease, the request.
import { serverNow } from "../core/clock.js";
import { bidiIsolate, countdown, truncate } from "../core/format.js";
import { confirmDialog } from "./dialogs.js";
import { dispatchNow } from "./store.js";
import { markDirty } from "./sync.js";
import { showError } from "./toasts.js";
import { trackWrite } from "./undo.js";

export const NAME_SHOWN = 60;
export const taskPath = (/** @type {Task} */ task) => `/api/tasks/${task.id}`;

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

/**
 * Send the body. If a lease started meanwhile, ask for confirmation of `action` and send it again.
 * @template Body @param {Task} task @param {Body & { force?: boolean }} body @param {string} action
 * @param {string} confirm @param {(body: Body) => Promise<any>} send
 */
export async function sendOrTakeOver(task, body, action, confirm, send) {
  try {
    return await send(body);
  } catch (error) {
    if (error.code !== "lock_held" || body.force) throw error;
    const yes = await confirmTakeOver(task, error.details, action, confirm);
    return yes ? send({ ...body, force: true }) : null;
  }
}
