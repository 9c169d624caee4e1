// The decisions of a person about a waiting task, for the list of what needs a person and for the task's page.
import { changeTask, moveTask, nameOf } from "../core/actions.js";
import { toast } from "../core/ask.js";
import { state } from "../core/store.js";

const WEEK_MS = 7 * 24 * 3_600_000;

const move = (status, name, primary = false) => ({ name, primary, act: (task) => moveTask(task, status) });

export const ACCEPT = move("DONE", "Accept", true);
export const SEND_BACK = move("TODO", "Send back");
export const UNBLOCK = move("TODO", "Unblock", true);
export const OFFER_AGAIN = { name: "Requeue", primary: true, act: offerAgain };
export const CANCEL = move("CANCELLED", "Cancel");
export const HOLD_BACK = move("BLOCKED", "Block");
export const OFFER = move("TODO", "Move to To do", true);
export const MARK_DONE = move("DONE", "Mark done");
export const FORGET_ATTEMPTS = { name: "Reset attempts", act: (task) => forgetAttempts(task) };
export const DROP_CANCELLED = { name: "Remove dependency", primary: true, act: dropCancelled };
export const POSTPONE = { name: "Postpone by a week", act: postpone };

async function change(task, fields, words, before) {
  const answer = await changeTask(task, fields);
  if (answer) toast(words, { undo: before ? () => changeTask(answer, before) : null });
}

const forgetAttempts = (task) => change(task, { attempts: 0 }, `${nameOf(task)} has no failed attempts`);

/** A person's move forgets failed attempts by itself; one under an agent's token does not. */
async function offerAgain(task) {
  const moved = task.status === "TODO" ? task : await moveTask(task, "TODO", { title: "Requeue" });
  if (moved?.attempts) await forgetAttempts(moved);
}

function dropCancelled(task) {
  const gone = new Set(task.cancelled_dependencies);
  const rest = task.depends_on.filter((id) => !gone.has(id));
  return change(task, { depends_on: rest }, `${nameOf(task)} no longer waits for ${[...gone].map((id) => `#${id}`).join(", ")}`, { depends_on: task.depends_on });
}

function postpone(task) {
  const due = new Date(Date.parse(task.due_at) + WEEK_MS).toISOString();
  return change(task, { due_at: due }, `${nameOf(task)} is due a week later`, { due_at: task.due_at });
}

/** Whether failed attempts alone keep the task from agents. A cap of 0 means that there is none. */
export function isAtCap(task) {
  const cap = state.session?.max_attempts;
  return Boolean(cap) && task.attempts >= cap;
}

/** The decisions that the page of a task offers. */
export function verdictsOf(task) {
  if (task.status === "REVIEW") return [ACCEPT, SEND_BACK];
  if (isAtCap(task) && (task.status === "BLOCKED" || task.status === "TODO")) return [OFFER_AGAIN, CANCEL];
  if (task.status === "BLOCKED") return [UNBLOCK, CANCEL];
  return [];
}
