// Due dates of tasks.
import { useNow } from "../core/clock.js";
import { dueDatetime, dueInFull, dueRelative, isPast } from "../core/due.js";
import { cx, html } from "../core/html.js";
import { CLOSED } from "../core/vocabulary.js";
import { Icon } from "./icons.js";

/** The due date `at`, relative to now. */
export function DueDate(/** @type {{ at: string, prefix?: string }} */ { at, prefix = "" }) {
  const now = useNow(15);
  return html`<time datetime=${dueDatetime(at)} title=${dueInFull(at)}>${prefix}${dueRelative(at, now)}</time>`;
}

/** The due date of an open task, marked if it has passed. Renders nothing for other tasks. */
export function Due(/** @type {{ task: Task }} */ { task }) {
  const now = useNow(15);
  if (!task.due_at || CLOSED.has(task.status)) return null;
  const over = isPast(task.due_at, now);
  return html`<span class=${cx("due", over && "over")} data-testid="due">
    <${Icon} name="flag" />
    <${DueDate} at=${task.due_at} prefix=${over ? "overdue, " : "due "} />
  </span>`;
}
