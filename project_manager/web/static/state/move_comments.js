// The comment that a person leaves for the next agent when a task goes back to the agents. It is sent with the move.
import { draftOf, saveDraft } from "../core/drafts.js";
import { openDialog } from "./dialogs.js";

/** @typedef {{ title: string, label: string, required: boolean, error?: string }} Prompt */

/** @type {Partial<Record<Status, Prompt>>} */
const COMMENT_PROMPTS = {
  REVIEW: {
    title: "Send back",
    label: "What is missing?",
    required: true,
    error: "Enter what is missing; the next agent reads it.",
  },
  BLOCKED: { title: "Unblock", label: "What should the next agent know?", required: false },
};

/** @type {Prompt} */
const ACCEPT_PROMPT = { title: "Accept", label: "What should the author know?", required: false };

const draftKey = (/** @type {Task} */ task, /** @type {Status} */ status) => `${task.id}:${status}`;

export const commentDraft = (/** @type {Task} */ task, /** @type {Status} */ status) =>
  draftOf(draftKey(task, status)).body;
export const saveComment = (/** @type {Task} */ task, /** @type {Status} */ status, /** @type {string} */ body) =>
  saveDraft(draftKey(task, status), { body, kind: "comment" });

/** Delete the draft after it was sent. */
export const clearComment = (/** @type {Task} */ task, /** @type {Status} */ status) => saveComment(task, status, "");

/** The use of a comment, by what it is sent with. */
const USES = {
  move: "It is added to the log with the move.",
  accept: "It is the text of the review, or an entry of the log without a submission.",
  review: "It is the text of the review. The next claim of the task brings it first.",
};

/** Ask for the comment of this move. Resolve to "" if the move needs none, and to null if the user cancels. */
/** @param {Task} task @param {Status} status @param {string | undefined} title @param {keyof typeof USES} use */
export function askComment(task, status, title, use = "move") {
  const prompt = use === "accept" ? ACCEPT_PROMPT : status === "TODO" ? COMMENT_PROMPTS[task.status] : undefined;
  if (!prompt) return Promise.resolve("");
  return new Promise((resolve) =>
    openDialog("moveComment", {
      task, status, ...prompt, title: title ?? prompt.title, hint: USES[use], answer: resolve,
    }));
}
