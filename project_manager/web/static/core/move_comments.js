// The comment that a person leaves for the next agent when a task goes back to the agents. It is sent with the move.
import { openDialog } from "./ask.js";
import { draftOf, keepDraft } from "./drafts.js";

const COMMENT_PROMPTS = {
  REVIEW: {
    title: "Send back",
    label: "What is missing?",
    required: true,
    fault: "Enter what is missing; the next agent reads it.",
  },
  BLOCKED: { title: "Unblock", label: "What should the next agent know?", required: false },
};

const draftKey = (task, status) => `${task.id}:${status}`;

export const commentDraft = (task, status) => draftOf(draftKey(task, status)).body;
export const saveComment = (task, status, body) => keepDraft(draftKey(task, status), { body, kind: "comment" });

/** Delete the draft after it was sent. */
export const clearComment = (task, status) => saveComment(task, status, "");

/** Ask for the comment of this move. Resolve to "" if the move needs none, and to null if the user cancels. */
export function askComment(task, status, title) {
  const line = status === "TODO" ? COMMENT_PROMPTS[task.status] : undefined;
  if (!line) return Promise.resolve("");
  return new Promise((resolve) =>
    openDialog("moveComment", { task, status, ...line, title: title ?? line.title, answer: resolve }));
}
