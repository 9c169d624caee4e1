// The number of failed attempts of a task. Its history has the end of each attempt.
import { times } from "../core/format.js";
import { html } from "../core/html.js";

/** The number of failed attempts; renders nothing without one. */
export function Attempts(/** @type {{ task: Task }} */ { task }) {
  if (!task.attempts) return null;
  return html`<span class="attempts" title="Failed attempts: expired leases and leases released as failed"
      data-testid="attempts">tried ${times(task.attempts)}</span>`;
}
