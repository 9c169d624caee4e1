// The subtasks of a task with their progress, and the link to its parent.
import { html } from "../../core/html.js";
import { CLOSED, canWrite } from "../../core/vocabulary.js";
import { openDialog } from "../../state/dialogs.js";
import { state, useStore } from "../../state/store.js";
import { changeTask } from "../../state/task_edits.js";
import { TaskLink } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";

/** The link to the parent, beside the project and the epic. */
export function ParentLink(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((now) => canWrite(now.session));
  if (!task.parent_id) return null;
  return html`<span class="parent-link" data-testid="parent">
    <${Icon} name="chevron" /><span class="sr">Subtask of </span><${TaskLink} id=${task.parent_id} />
    ${writer && html`<button type="button" class="quiet icon-button" aria-label="Remove from its parent"
        title="Remove from its parent" onClick=${() => changeTask(task, { parent_id: null })}
        data-testid="remove-parent"><${Icon} name="close" /></button>`}
  </span>`;
}

function Progress(/** @type {{ tasks: Task[] }} */ { tasks }) {
  const done = tasks.filter((task) => task.status === "DONE").length;
  const closed = tasks.filter((task) => CLOSED.has(task.status)).length;
  const cancelled = closed > done ? `, ${closed - done} cancelled` : "";
  return html`<p class="muted" id="subtask-progress">${done} of ${tasks.length} done${cancelled}</p>
    <progress max=${tasks.length} value=${closed} aria-labelledby="subtask-progress"></progress>`;
}

export function Subtasks(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((now) => canWrite(now.session));
  const ids = [...(state.subtasks.get(task.id) ?? [])].sort((a, b) => a - b);
  const tasks = /** @type {Task[]} */ (ids.map((id) => state.tasks.get(id)).filter(Boolean));
  if (tasks.length === 0 && !writer) return null;
  return html`<section class="subtasks" data-testid="subtasks">
    <h3>Subtasks</h3>
    ${tasks.length > 0 && html`<${Progress} tasks=${tasks} />
      <ul class="links">${ids.map((id) => html`<li key=${id}><${TaskLink} id=${id} /></li>`)}</ul>`}
    ${writer && html`<button type="button" onClick=${() => openDialog("task", { parent: task })}
        data-testid="add-subtask"><${Icon} name="plus" />Add subtask</button>`}
  </section>`;
}
