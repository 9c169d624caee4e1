// How often somebody tried a task in vain. Its history tells what became of each attempt.
import { times } from "../core/format.js";
import { html } from "../core/html.js";

/** Nothing where no attempt came to nothing. */
export function Attempts({ task }) {
  if (!task.attempts) return null;
  return html`<span class="attempts" title="Leases that expired, or were given back as failed" data-testid="attempts">tried ${times(task.attempts)}</span>`;
}
