// The decisions of the user about a waiting task, for the list of tasks that need attention and the task panel.
import { serverNow } from "../core/clock.js";
import { DAY, plural } from "../core/format.js";
import { accept, sendBack } from "./reviews.js";
import { changeTask, reportChange } from "./task_edits.js";
import { moveTask } from "./task_moves.js";
import { nameOf } from "./task_writes.js";
import { waitingKindOf } from "./waiting.js";

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
export const RESET_ATTEMPTS = { name: "Reset attempts", act: (/** @type {Task} */ task) => resetAttempts(task) };
export const DROP_CANCELLED = { name: "Remove dependency", ...MAIN, act: dropCancelled };
export const POSTPONE = { name: "Postpone by a week", act: postpone };

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

/** The decisions about each kind of work that waits on a person. @type {Record<WaitingKind, Decision[]>} */
export const DECISIONS = {
  rounds: [UNBLOCK, MARK_DONE, CANCEL],
  questions: [UNBLOCK_UNANSWERED, CANCEL],
  attempts: [REQUEUE, CANCEL],
  review: [ACCEPT, SEND_BACK, ACCEPT_WITH_COMMENT],
  blocked: [UNBLOCK, CANCEL],
  cancelled: [DROP_CANCELLED, CANCEL],
  "no-holder": [MOVE_TO_TODO, MARK_DONE],
};

// The task panel shows the other kinds with their own fields and buttons.
const IN_PANEL = new Set(["rounds", "questions", "attempts", "review", "blocked"]);

/** Return the decisions to show in the task panel. @returns {Decision[]} */
export function decisionsOf(/** @type {Task} */ task) {
  const kind = waitingKindOf(task);
  return kind && IN_PANEL.has(kind) ? DECISIONS[kind] : [];
}
