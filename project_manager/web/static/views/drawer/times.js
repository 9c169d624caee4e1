// The time of a task in each status, and the time until it was claimed and reviewed.
import { serverNow, useNow } from "../../core/clock.js";
import { MINUTE, duration } from "../../core/format.js";
import { html, useEffect, useState } from "../../core/html.js";
import { useStore } from "../../state/store.js";
import { belongsToHistory, readHistory, responsesOf, timesOf } from "../../state/task_history.js";
import { showError } from "../../state/toasts.js";

/** Return the history of the task, or null before it is read. A new event of it reads it again. */
export function useHistory(/** @type {Task} */ task) {
  const latestSeq = useStore((state) => state.events.findLast((event) => belongsToHistory(event, task.id))?.seq ?? 0);
  const [history, setHistory] = useState(/** @type {TaskHistory | null} */ (null));
  useEffect(() => {
    let here = true;
    readHistory(task.id).then((found) => here && setHistory(found), showError);
    return () => {
      here = false;
    };
  }, [task.id, latestSeq]);
  return history;
}

const short = (/** @type {number} */ ms) => (ms < MINUTE ? `${Math.floor(ms / 1000)} s` : duration(ms));

function Response(/** @type {{ name: string, ms: number | null }} */ { name, ms }) {
  return ms !== null && html`<span class="response">${name} after <b>${short(ms)}</b></span>`;
}

/** The states in the order of the task's life. Its present state comes last. */
export function Times(/** @type {{ task: Task, history: TaskHistory | null }} */ { task, history }) {
  const now = useNow(15);
  if (!history) return html`<p class="times muted" data-testid="times"> </p>`;
  const { times, present } = timesOf(history.events, task, Math.max(now, serverNow() - 1000));
  const shown = times.filter(([name, ms]) => ms >= 1000 || name === present);
  const { claim, verdict } = responsesOf(history.events, task);
  return html`<p class="times" aria-label="Time in each status" role="group" data-testid="times">
    ${shown.map(([name, ms]) => html`<span key=${name} class=${name === present ? "present" : ""}>
      ${name} <b>${short(ms)}</b>
    </span>`)}
    <${Response} name="First claim" ms=${claim} />
    <${Response} name="First verdict" ms=${verdict} />
    ${!history.whole && html`<span>of the first changes only</span>`}
  </p>`;
}
