// The decisions of the user about a waiting task, for the list of tasks that need attention and the task panel.
import { serverNow } from "../core/clock.js";
import { DAY, plural } from "../core/format.js";
import { hasQuestion } from "./questions.js";
import { accept, sendBack } from "./reviews.js";
import { state } from "./store.js";
import { changeTask, reportChange } from "./task_edits.js";
import { moveTask } from "./task_moves.js";
import { nameOf } from "./task_writes.js";

const WEEK = 7 * DAY;

/** @returns {Decision} */
const move = (/** @type {Status} */ status, /** @type {string} */ name, main = {}) =>
  ({ name, ...main, act: (task) => moveTask(task, status) });

/** The main decision has the key `a`. */
const MAIN = { primary: true, keys: "a" };

/** @type {Decision} */
export const ACCEPT = { name: "Accept", ...MAIN, act: (task) => accept(task) };
/** @type {Decision} */
export const SEND_BACK = { name: "Send back", keys: "s", act: sendBack };
/** @type {Decision} */
export const ACCEPT_WITH_COMMENT = {
  name: "Comment…", icon: "log", keys: "Shift A", hint: "Accept with a comment",
  act: (task) => accept(task, { comment: true }),
};
export const UNBLOCK = move("TODO", "Unblock", MAIN);
/** @type {Decision} */
export const UNBLOCK_UNANSWERED = move("TODO", "Unblock without an answer");
export const REQUEUE = { name: "Requeue", ...MAIN, act: requeue };
export const CANCEL = move("CANCELLED", "Cancel task");
export const BLOCK = move("BLOCKED", "Block");
export const MOVE_TO_TODO = move("TODO", "Move to To do", MAIN);
export const MARK_DONE = move("DONE", "Mark done");
export const RESET_ATTEMPTS = {
  name: "Reset attempts", keys: "a", act: (/** @type {Task} */ task) => resetAttempts(task),
};
export const DROP_CANCELLED = { name: "Remove dependency", ...MAIN, act: dropCancelled };
export const POSTPONE = { name: "Postpone by a week", keys: "a", act: postpone };

async function change(
  /** @type {Task} */ task,
  /** @type {Record<string, unknown>} */ fields,
  /** @type {string} */ name,
  /** @type {string} */ undone,
) {
  const changed = await changeTask(task, fields);
  if (changed) reportChange(task, changed, Object.keys(fields), { name, undone });
}

const resetAttempts = (/** @type {Task} */ task) =>
  change(
    task, { attempts: 0 }, `${nameOf(task)} has no failed attempts`, `${nameOf(task)} has its failed attempts again`,
  );

/** A move by a person resets the failed attempts. A move with an agent's token does not. */
async function requeue(/** @type {Task} */ task) {
  const moved = task.status === "TODO" ? task : await moveTask(task, "TODO", { title: "Requeue" });
  if (moved?.attempts) await resetAttempts(moved);
}

function dropCancelled(/** @type {Task} */ task) {
  const gone = new Set(task.cancelled_dependencies);
  const rest = task.depends_on.filter((id) => !gone.has(id));
  const others = [...gone].map((id) => `#${id}`).join(", ");
  return change(
    task,
    { depends_on: rest },
    `${nameOf(task)} no longer waits for ${others}`,
    `${nameOf(task)} waits for ${others} again`,
  );
}

/** Postpone the task by a week, or by as many weeks as bring its due date into the future. */
function postpone(/** @type {Task} */ task) {
  const before = Date.parse(task.due_at ?? "");
  const weeks = Math.max(1, Math.floor((serverNow() - before) / WEEK) + 1);
  const due = new Date(before + weeks * WEEK).toISOString();
  const words = weeks === 1 ? "a week" : plural(weeks, "week");
  return change(task, { due_at: due }, `${nameOf(task)} is due ${words} later`, `${nameOf(task)} is due as before`);
}

/** Return whether the failed attempts of the task have reached the limit. A limit of 0 means no limit. */
export function isAtCap(/** @type {Task} */ task) {
  const cap = state.session?.max_attempts ?? 0;
  return cap > 0 && task.attempts >= cap;
}

/** Return whether reviewers requested changes so often that a person has to decide. */
export const needsVerdictOfPerson = (/** @type {Task} */ task) =>
  task.status === "BLOCKED" && task.blocked_by === "review_rounds";

/** Return the decisions to show in the task panel. @returns {Decision[]} */
export function decisionsOf(/** @type {Task} */ task) {
  if (task.status === "REVIEW") return [ACCEPT, SEND_BACK, ACCEPT_WITH_COMMENT];
  if (needsVerdictOfPerson(task)) return [UNBLOCK, MARK_DONE, CANCEL];
  if (hasQuestion(task)) return [UNBLOCK_UNANSWERED, CANCEL];
  if (isAtCap(task) && (task.status === "BLOCKED" || task.status === "TODO")) return [REQUEUE, CANCEL];
  if (task.status === "BLOCKED") return [UNBLOCK, CANCEL];
  return [];
}
