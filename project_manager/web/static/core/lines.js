// The line that a person leaves for the next agent when a task goes back to the agents. It is sent with the move.
import { openDialog } from "./ask.js";
import { draftOf, keepDraft } from "./drafts.js";

const LINES = {
  REVIEW: { title: "Send back", label: "What is missing?", required: true, fault: "Enter what is missing; the next agent reads it." },
  BLOCKED: { title: "Unblock", label: "What should the next agent know?", required: false },
};

const draftKey = (task, status) => `${task.id}:${status}`;

export const lineDraft = (task, status) => draftOf(draftKey(task, status)).body;
export const keepLine = (task, status, body) => keepDraft(draftKey(task, status), { body, kind: "comment" });

/** Delete the draft after it was sent. */
export const dropLine = (task, status) => keepLine(task, status, "");

/** Ask for the line of this move. Resolves to "" if none is asked for or given, to null if the person cancels. */
export function lineFor(task, status, title) {
  const line = status === "TODO" ? LINES[task.status] : undefined;
  if (!line) return Promise.resolve("");
  return new Promise((resolve) => openDialog("line", { task, status, ...line, title: title ?? line.title, answer: resolve }));
}
