// How long a task is held, waits, or is finished. The time changes at most once a minute.
import { useMinute } from "../core/clock.js";
import { fullTime, shortDuration } from "../core/format.js";
import { html } from "../core/html.js";
import { CLOSED } from "../core/vocabulary.js";
import { lastMoveOf } from "../state/last_moves.js";

/** Return the word for the state of the task, and the time of its begin. */
export function sinceOf(/** @type {Task} */ task) {
  if (task.lock) return { word: "held", at: task.lock.acquired_at };
  if (CLOSED.has(task.status)) return { word: "finished", at: task.completed_at ?? task.updated_at };
  if (task.status === "REVIEW" || task.status === "BLOCKED") return { word: "waiting", at: lastMoveOf(task) };
  return { word: "age", at: task.created_at };
}

/** The time since the begin of the state, such as "waiting 20 min". Without `named`, only the time. */
export function Since(/** @type {{ task: Task, named?: boolean }} */ { task, named = true }) {
  const now = useMinute();
  const { word, at } = sinceOf(task);
  return html`<time class="since" datetime=${at} title=${`${word}, since ${fullTime(at)}`} data-testid="since">
    ${named ? `${word} ` : html`<span class="sr">${word} </span>`}${shortDuration(now - Date.parse(at))}
  </time>`;
}
