// Verdicts of the user on submitted work.
import { get, post } from "../core/api.js";
import { bidiIsolate, times } from "../core/format.js";
import { STATUS_NAMES } from "../core/vocabulary.js";
import { confirmDialog } from "./dialogs.js";
import { askComment, clearComment } from "./move_comments.js";
import { state } from "./store.js";
import { readTask } from "./sync.js";
import { refreshDetails, shownDetails } from "./task_details.js";
import { moveTask } from "./task_moves.js";
import { confirmTakeOver, nameOf, updateTask, write } from "./task_writes.js";
import { showError, toast } from "./toasts.js";
import { recordFinal } from "./undo.js";

const ROUNDS_READ = 50;

/** Return the submissions of a task, the newest first. */
export const readRounds = async (/** @type {number} */ id) =>
  (await get(`/api/tasks/${id}/submissions`, { limit: ROUNDS_READ })).items;

const isOwn = (/** @type {SubmissionView} */ submission) => submission.author === state.session?.actor?.id;

/** Return whether the user can give a verdict on the submission. Its author cannot. */
const isReviewable = (/** @type {SubmissionView | null | undefined} */ submission) =>
  Boolean(submission?.is_current && !submission.review && !isOwn(submission));

/** Return the words for a submission: its round, author and commit. */
function submissionWords(/** @type {SubmissionView} */ submission) {
  const commit = submission.commit ? `, commit ${submission.commit.slice(0, 12)}` : "";
  return `round ${submission.round} by ${bidiIsolate(submission.author)}${commit}`;
}

/**
 * Return the submission that the user sees. If the page shows none yet, or that of an earlier round, show it in a
 * question first, unless it is work of the user. Return null without a submission, and undefined if the user cancels or
 * it cannot be read.
 */
async function seenSubmission(/** @type {Task} */ task, /** @type {string} */ action) {
  const shown = shownDetails(task.id);
  if (shown && shown.task.version >= task.version) return shown.submission ?? null;
  try {
    const { submission } = await refreshDetails(task.id);
    if (!submission) return null;
    if (isOwn(submission) || submission.digest === shown?.submission?.digest) return submission;
    const title = `${action}: ${nameOf(task)}`;
    const body = `${submissionWords(submission)}. ${bidiIsolate(submission.summary)}`;
    return (await confirmDialog({ title, body, confirm: action })) ? submission : undefined;
  } catch (error) {
    showError(error);
    return undefined;
  }
}

/** Read the task and then its details again after a verdict. Lists keep the details of a row that left them. */
async function readAgain(/** @type {Task} */ task) {
  try {
    await readTask(task.id);
    await refreshDetails(task.id);
  } catch {
    // The next event of the task repeats both.
  }
}

/** Return the words about the effect of a verdict. */
function outcome(/** @type {Task} */ task, /** @type {ReviewedView} */ { status, missing, submission }) {
  const name = nameOf(task);
  if (submission.review?.verdict === "approved") {
    return missing.length ? `Approved ${name}, which is not done yet` : `Accepted ${name}`;
  }
  if (status === "BLOCKED") return `Blocked ${name}. ${roundsWords(task)}`;
  return `Sent back ${name} to ${STATUS_NAMES[/** @type {Status} */ (status)]}`;
}

/** Return the words for a task that became BLOCKED because of the limit of review rounds. */
export function roundsWords(/** @type {Task} */ task) {
  const rounds = state.projects.get(task.project_id)?.policy.max_review_rounds;
  return `Changes requested ${rounds ? times(rounds) : "too often"}; decide`;
}

/** Send the verdict on exactly the submission that the user saw. Return whether the server accepted it. */
/** @param {Task} task @param {SubmissionView} submission @param {string} verdict @param {string} body */
async function sendVerdict(task, submission, verdict, body) {
  /** @type {ReviewedView | null} */
  const answer = await write(task, async () => {
    const given = await post(`/api/tasks/${task.id}/reviews`, { verdict, digest: submission.digest, body });
    const now = state.tasks.get(task.id) ?? task;
    updateTask({ ...now, status: given.status, lock: null, ready: false });
    return given;
  });
  if (answer) {
    const hint = answer.missing.length ? `Missing: ${answer.missing.join("; ")}` : "";
    const words = outcome(task, answer);
    recordFinal(words, "A verdict stays in the history. Give another one, or move the task.");
    toast(words, { hint });
  }
  await readAgain(task);
  return answer !== null;
}

/** Ask before a verdict ends the lease of another reviewer. */
const confirmReview = async (/** @type {Task} */ task, /** @type {string} */ action, /** @type {string} */ confirm) =>
  !task.lock || confirmTakeOver(task, task.lock, action, confirm);

/** Return the comment with an approval: "" without one, and null if the user cancels. */
const commentOf = (/** @type {Task} */ task, /** @type {boolean} */ asked) =>
  (asked ? askComment(task, "DONE", undefined, "accept") : Promise.resolve(""));

/**
 * Accept the work: approve its submission, or without one that the user can review, set the task DONE. `comment` asks
 * for a comment first.
 */
/** @param {Task} task @param {{ comment?: boolean }} options */
export async function accept(task, { comment = false } = {}) {
  if (state.pending.has(task.id)) return;
  const submission = await seenSubmission(task, "Accept");
  if (submission === undefined) return;
  const body = await commentOf(task, comment);
  if (body === null) return;
  const done = submission === null || !isReviewable(submission)
    ? await moveTask(task, "DONE", { note: body })
    : (await confirmReview(task, "Accepting it", "Accept")) && (await sendVerdict(task, submission, "approved", body));
  if (done) clearComment(task, "DONE");
}

/** Send the work back with the reason: request changes, or without a submission to review, set the task TODO. */
export async function sendBack(/** @type {Task} */ task) {
  if (state.pending.has(task.id)) return;
  const submission = await seenSubmission(task, "Send back");
  if (submission === undefined) return;
  if (submission === null || !isReviewable(submission)) {
    await moveTask(task, "TODO");
    return;
  }
  const body = await askComment(task, "TODO", undefined, "review");
  if (body === null || !(await confirmReview(task, "Sending it back", "Send back"))) return;
  if (await sendVerdict(task, submission, "changes_requested", body)) clearComment(task, "TODO");
}
