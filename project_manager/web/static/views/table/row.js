// A task in the table. Its name is a link, which has the focus of the row.
import { seconds } from "../../core/format.js";
import { cx, html, memo } from "../../core/html.js";
import { STATUS_NAMES, reasonsOf } from "../../core/vocabulary.js";
import { Rename } from "../../forms/rename.js";
import { follow, hrefOf, openTask } from "../../state/route.js";
import { Avatar, Label, Priority, RelativeTime } from "../../ui/chips.js";
import { Due } from "../../ui/due.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { SelectBox, longPress, selectOnClick } from "../../ui/select_box.js";
import { Since } from "../../ui/since.js";
import { askEpic, askLabels, askPriority } from "../selection/choices.js";
import { agentOf } from "./rows.js";

const LABELS_SHOWN = 2;

/** A value that opens a choice. Readers see the value only. */
function Editable(/** @type {EditableProps} */ { task, name, able, focusable, ask, children }) {
  if (!able) return children;
  return html`<button type="button" class="quiet cell-edit" aria-label=${`${name} of #${task.id}`}
      title=${`Change: ${name}`} aria-haspopup="dialog" tabindex=${focusable ? 0 : -1}
      onClick=${() => ask([task])}>${children}</button>`;
}

const CONTROLS = "a, button, input, select, label";

function Labels(/** @type {{ names: string[] }} */ { names }) {
  const more = names.length - LABELS_SHOWN;
  return html`${names.slice(0, LABELS_SHOWN).map((name) => html`<${Label} key=${name} name=${name} />`)}
    ${more > 0 && html`<span class="label more" title=${names.slice(LABELS_SHOWN).join(", ")}>+${more}</span>`}`;
}

function Agent(/** @type {{ task: Task }} */ { task }) {
  const agent = agentOf(task);
  if (!agent) return null;
  return html`<${Avatar} id=${agent} />
    <span class="sr">${task.lock ? "Locked by " : "Worked on by "}</span>
    <bdi class=${cx("clip", !task.lock && "muted")} title=${agent}>${agent}</bdi>`;
}

/** An icon for work to do: ready, or waiting for its blockers. */
function ReadyMark(/** @type {{ task: Task }} */ { task }) {
  if (task.status !== "TODO") return null;
  const words = task.ready ? "Ready" : reasonsOf(task).join("; ") || "Waiting";
  return html`<span class=${cx("ready-mark", task.ready && "yes")} title=${words}>
    <${Icon} name=${task.ready ? "check" : "clock"} label=${words} />
  </span>`;
}

function TimeCells(/** @type {{ task: Task }} */ { task }) {
  return html`<span role="gridcell" class="cell cell-since"><${Since} task=${task} named=${false} /></span>
    <span role="gridcell" class="cell cell-worked">${task.worked_seconds > 0 && seconds(task.worked_seconds)}</span>
    <span role="gridcell" class="cell cell-updated"><${RelativeTime} at=${task.updated_at} /></span>
    <span role="gridcell" class="cell cell-due"><${Due} task=${task} /></span>`;
}

/** Focus the row again after its field has gone. */
const focusRow = (/** @type {number} */ id) => requestAnimationFrame(() =>
  /** @type {HTMLElement | null} */ (document.querySelector(`[data-row="${id}"] [data-focus]`))?.focus());

export const TableTask = memo((/** @type {TableTaskProps} */ props) => {
  const { id, task, index, project, epic, focusable, open, pending, selected } = props;
  const { selects, renaming, order } = props;
  const edit = { task, able: selects, focusable };
  const choose = (/** @type {UiEvent} */ event) => {
    if (selectOnClick(event, task.id, order) || event.target.closest(CONTROLS)) return;
    openTask(task.id);
  };
  const click = (/** @type {UiEvent} */ event) => {
    event.stopPropagation();
    if (!selectOnClick(event, task.id, order)) follow(event, { task: task.id });
  };
  const classes = cx(open && "open", pending && "pending", selected && "selected", renaming && "renaming");
  return html`<div class=${`table-line table-task ${classes}`} role="row" aria-rowindex=${index + 2}
      aria-selected=${selected} data-row=${id} data-testid="table-row" onClick=${choose} ...${longPress(task.id)}>
    ${selects && html`<span role="gridcell" class="cell cell-select">
      <${SelectBox} task=${task} selected=${selected} focusable=${focusable} order=${order} />
    </span>`}
    <span role="gridcell" class="cell cell-id key">#${task.id}</span>
    <span role="gridcell" class="cell cell-name">
      ${renaming && html`<${Rename} task=${task} onEnd=${() => focusRow(id)} />`}
      <a href=${hrefOf({ task: task.id })} data-task=${task.id} data-focus tabindex=${focusable ? 0 : -1}
          aria-current=${open ? "true" : undefined} onClick=${click} dir="auto" class="clip">${task.name}</a>
    </span>
    <span role="gridcell" class="cell cell-status">
      <${StatusIcon} status=${task.status} /><span class="clip">${STATUS_NAMES[task.status]}</span>
      <${ReadyMark} task=${task} />
    </span>
    <span role="gridcell" class="cell cell-priority">
      <${Editable} ...${edit} name=${`Priority P${task.priority}`} ask=${askPriority}>
        <${Priority} value=${task.priority} />
      <//>
    </span>
    <span role="gridcell" class="cell cell-project"><bdi class="clip" title=${project}>${project}</bdi></span>
    <span role="gridcell" class="cell cell-epic">
      <${Editable} ...${edit} name=${`Epic ${epic || "none"}`} ask=${askEpic}>
        <bdi class="clip">${epic}</bdi>
      <//>
    </span>
    <span role="gridcell" class="cell cell-labels">
      <${Editable} ...${edit} name=${`Labels ${task.labels.join(", ") || "none"}`} ask=${askLabels}>
        <${Labels} names=${task.labels} />
      <//>
    </span>
    <span role="gridcell" class="cell cell-agent"><${Agent} task=${task} /></span>
    <${TimeCells} task=${task} />
  </div>`;
});
