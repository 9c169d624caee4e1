// The lease of a task: claimed, taken over, extended and released by the user.
import { post, put, remove } from "../core/api.js";
import { bidiIsolate, countdown } from "../core/format.js";
import { STATUS_NAMES } from "../core/vocabulary.js";
import { state } from "./store.js";
import { confirmTakeOver, nameOf, taskPath, updateTask, write } from "./task_writes.js";
import { toast } from "./toasts.js";
import { recordFinal } from "./undo.js";

export async function releaseTask(/** @type {Task} */ task) {
  if (!task.lock) return;
  const mine = task.lock.holder === state.session?.actor?.id;
  if (!mine && !(await confirmTakeOver(task, task.lock, "Releasing it", "Force release"))) return;
  const answer = await write(task, () => remove(`${taskPath(task)}/lock`, { body: mine ? {} : { force: true } }));
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
  const answer = await write(task, () => post(`${taskPath(task)}/lock`, { ttl_seconds: 3600, ...options }));
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
      return await put(`${taskPath(task)}/lock`, body);
    } catch (error) {
      if (error.code !== "fence_required") throw error;
      return put(`${taskPath(task)}/lock`, { ...body, fence });
    }
  });
  if (answer) {
    updateTask(answer.task);
    const name = `Lease of ${bidiIsolate(holder)} extended`;
    recordFinal(name, "The agent already knows the new time.");
    toast(`${name}; ${countdown(ttl * 1000)} left`);
  }
}
