// The facts of a task: the fields without a place of their own in the panel, and its dates.
import { minutes } from "../../core/format.js";
import { html } from "../../core/html.js";
import { TASK_FIELDS } from "../../core/task_fields.js";
import { Attempts } from "../../ui/attempts.js";
import { RelativeTime } from "../../ui/chips.js";
import { DueDate } from "../../ui/due.js";

/** The fields that have a place of their own in the drawer. */
const ELSEWHERE = new Set([
  "name", "description", "epic_id", "priority", "labels", "acceptance", "depends_on", "conflicts_with",
]);

/** @type {Record<string, (value: any) => any>} */
const AS_FACT = {
  lines: (texts) => texts.length > 0 && html`<span class="paths">
    ${texts.map((/** @type {string} */ text) => html`<code key=${text}>${text}</code>`)}
  </span>`,
  minutes,
  due: (at) => html`<${DueDate} at=${at} />`,
  instant: (at) => html`<${RelativeTime} at=${at} />`,
};

/** @returns {[string, any]} */
function factOf(/** @type {TaskField} */ { name, kind, title }, /** @type {Record<string, any>} */ task) {
  const value = task[name];
  return [title, value !== null && (AS_FACT[kind] ?? String)(value)];
}

/** @type {Record<string, string>} */
const COMPLETED_BY = {
  review: "by a review",
  evidence: "by evidence",
  force: "not verified: set by an operator",
  import: "not verified: imported",
};

export function Facts(/** @type {{ task: Task }} */ { task }) {
  const rows = [
    ...TASK_FIELDS.filter(({ name }) => !ELSEWHERE.has(name)).map((field) => factOf(field, task)),
    ["Attempts", task.attempts > 0 && html`<${Attempts} task=${task} />`],
    ["Created", html`<${RelativeTime} at=${task.created_at} /> by <bdi>${task.created_by}</bdi>`],
    ["Changed", html`<${RelativeTime} at=${task.updated_at} />, version ${task.version}`],
    ["Done", task.completed_at && html`<${RelativeTime} at=${task.completed_at} />`],
    ["Verified", task.completed_by && html`<span data-testid="verified">
      ${COMPLETED_BY[task.completed_by] ?? task.completed_by}
    </span>`],
  ];
  return html`<dl class="facts">
    ${rows.filter(([, value]) => value).map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>`)}
  </dl>`;
}
