// Name, epic and labels of the task panel, edited in place.
import { html, useRef } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { canWrite } from "../../core/vocabulary.js";
import { epicOptions } from "../../state/options.js";
import { useStore } from "../../state/store.js";
import { setEpic, setLabels } from "../../state/task_edits.js";
import { Rename, startRename } from "../../forms/rename.js";
import { Label } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";
import { askLabels } from "../selection/choices.js";

/** The name of the task. A double click, or Enter or `e` with the focus on it, edits it. */
export function InlineName(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((state) => canWrite(state.session));
  const renaming = useStore((state) => state.renaming === task.id);
  const title = useRef(null);
  const start = () => startRename(task.id);
  if (writer && renaming) {
    return html`<${Rename} task=${task} onEnd=${() => requestAnimationFrame(() => title.current?.focus())} />`;
  }
  const onKeyDown = onKeys((event) => {
    if (event.key !== "Enter" && event.key !== "e") return;
    event.preventDefault();
    start();
  });
  return html`<div class="inline-name">
    <h2 id="task-name" ref=${title} dir="auto" tabindex="-1" onDblClick=${writer && start}
        onKeyDown=${writer && onKeyDown}>${task.name}</h2>
    ${writer && html`<button type="button" class="quiet icon-button" aria-label="Rename the task" title="Rename (F2)"
        onClick=${start} data-testid="start-rename"><${Icon} name="edit" /></button>`}
  </div>`;
}

function EpicSelect(/** @type {{ task: Task }} */ { task }) {
  useStore((state) => state.revision.plans);
  const options = epicOptions(task.project_id);
  if (options.length === 0) return null;
  const change = (/** @type {UiEvent} */ event) => {
    const epic = Number(event.target.value) || null;
    event.target.value = task.epic_id ?? "";
    setEpic(task, epic);
  };
  return html`<label class="choice"><span class="sr">Epic</span><${Icon} name="flag" />
    <select value=${task.epic_id ?? ""} onChange=${change} data-testid="epic-choice">
      <option value="">No epic</option>
      ${options.map(([id, name]) => html`<option key=${id} value=${id}>${name}</option>`)}
    </select></label>`;
}

/** A label with a button that removes it. */
function Removable(/** @type {{ task: Task, name: string }} */ { task, name }) {
  const remove = () => setLabels(task, task.labels.filter((label) => label !== name));
  return html`<span class="removable">
    <${Label} name=${name} />
    <button type="button" class="quiet icon-button" aria-label=${`Remove the label ${name}`} onClick=${remove}>
      <${Icon} name="close" />
    </button>
  </span>`;
}

/** The epic and the labels. Readers see the labels only; the path above names the epic. */
export function InlineFields(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((state) => canWrite(state.session));
  if (!writer && task.labels.length === 0) return null;
  return html`<div class="inline-fields" data-testid="inline-fields">
    ${writer && html`<${EpicSelect} task=${task} />`}
    ${task.labels.map((name) => (writer
      ? html`<${Removable} key=${name} task=${task} name=${name} />`
      : html`<${Label} key=${name} name=${name} />`))}
    ${writer && html`<button type="button" class="quiet small" onClick=${() => askLabels([task])}
        data-testid="add-label"><${Icon} name="plus" />Label</button>`}
  </div>`;
}
