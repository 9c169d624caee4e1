// Answers of the user to the questions of agents.
import { post } from "../core/api.js";
import { bidiIsolate } from "../core/format.js";
import { state } from "./store.js";
import { refreshDetails } from "./task_details.js";
import { nameOf, updateTask, write } from "./task_writes.js";
import { toast } from "./toasts.js";
import { recordFinal } from "./undo.js";

/** Return whether an agent waits for an answer about the task. */
export const hasQuestion = (/** @type {Task} */ task) => task.status === "BLOCKED" && task.blocked_by === "question";

/** Send the answer to the question that the user saw. Return whether the server accepted it. */
/** @param {Task} task @param {QuestionView} question @param {string} text */
export async function answerQuestion(task, question, text) {
  const answer = await write(task, async () => {
    const given = await post(`/api/tasks/${task.id}/questions/${question.id}/answer`, { text });
    const now = state.tasks.get(task.id) ?? task;
    updateTask({ ...now, status: given.status, blocked_by: null, ready: false });
    return given;
  });
  if (answer) {
    const name = `Answered ${bidiIsolate(question.asker)} about ${nameOf(task)}`;
    recordFinal(name, "Agents may have read the answer. Send another message instead.");
    toast(name);
  }
  await refreshDetails(task.id).catch(() => undefined); // the next event of the task repeats it
  return answer !== null;
}
