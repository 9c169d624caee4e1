// The bar at the top of the panel of one task: its status, its priority, and the buttons for the whole task.
import { html } from "../../core/html.js";
import { PRIORITY_NAMES, STATUS_NAMES, statusChoices } from "../../core/vocabulary.js";
import { copyLink, deleteTask, editTask } from "../../state/actions.js";
import { closeTask, follow, hrefOf, toggleFull } from "../../state/route.js";
import { useStore } from "../../state/store.js";
import { setPriority } from "../../state/task_edits.js";
import { moveTask } from "../../state/task_moves.js";
import { Icon, StatusIcon } from "../../ui/icons.js";

function MoveSelect(/** @type {{ task: Task, disabled: boolean }} */ { task, disabled }) {
  const change = (/** @type {UiEvent} */ event) => {
    const status = event.target.value;
    event.target.value = task.status;
    moveTask(task, status);
  };
  return html`<label class="choice status-choice"><span class="sr">Status</span><${StatusIcon} status=${task.status} />
    <select value=${task.status} onChange=${change} disabled=${disabled} data-testid="move">
      ${statusChoices(task.status).map((status) => html`<option key=${status} value=${status}>
        ${STATUS_NAMES[status]}
      </option>`)}
    </select></label>`;
}

function PrioritySelect(/** @type {{ task: Task, disabled: boolean }} */ { task, disabled }) {
  const change = (/** @type {UiEvent} */ event) => setPriority(task, Number(event.target.value));
  return html`<label class="choice"><span class="sr">Priority</span>
    <select value=${task.priority} onChange=${change} disabled=${disabled} data-testid="priority">
      ${PRIORITY_NAMES.map((name, value) => html`<option key=${value} value=${value}>P${value} ${name}</option>`)}
    </select></label>`;
}

function FullButton() {
  const full = useStore((now) => Boolean(now.route.full));
  const name = full ? "Show beside the view" : "Show as a page";
  return html`<button type="button" class="quiet icon-button full-button" aria-pressed=${full} aria-label="Full page"
      title=${`${name} (f)`} onClick=${toggleFull} data-testid="full">
    <${Icon} name=${full ? "narrow" : "wide"} />
  </button>`;
}

export function Bar(/** @type {{ task: Task, writer: boolean }} */ { task, writer }) {
  return html`<header class="drawer-bar">
    <span class="key">#${task.id}</span>
    <${MoveSelect} task=${task} disabled=${!writer} />
    <${PrioritySelect} task=${task} disabled=${!writer} />
    <span class="push"></span>
    ${writer && html`<button type="button" class="quiet icon-button tool" aria-label="Edit task" title="Edit (e)"
        onClick=${() => editTask(task)} data-testid="edit"><${Icon} name="edit" /></button>`}
    <a class="button quiet icon-button" aria-label="Show in the graph" title="Show in the graph"
        href=${hrefOf({ view: "graph", around: task.id })}
        onClick=${(event) => follow(event, { view: "graph", around: task.id })}><${Icon} name="graph" /></a>
    <button type="button" class="quiet icon-button tool" aria-label="Copy link" title="Copy link"
        onClick=${() => copyLink(task)}>
      <${Icon} name="link" />
    </button>
    ${writer && html`<button type="button" class="quiet icon-button tool" aria-label="Delete task" title="Delete"
        onClick=${async () => (await deleteTask(task)) && closeTask()} data-testid="delete">
      <${Icon} name="trash" />
    </button>`}
    <${FullButton} />
    <button type="button" class="quiet icon-button close" aria-label="Close task" title="Close (Esc)"
        onClick=${closeTask} data-testid="close-task"><${Icon} name="close" /></button>
  </header>`;
}
