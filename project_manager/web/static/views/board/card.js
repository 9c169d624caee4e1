// A task on the board. It is a link, so that it can be copied, opened in a new tab and reached by keyboard.
import { serverNow } from "../../core/clock.js";
import { bidiIsolate, seconds } from "../../core/format.js";
import { cx, html, memo } from "../../core/html.js";
import { CLOSED } from "../../core/vocabulary.js";
import { follow, hrefOf } from "../../state/route.js";
import { state } from "../../state/store.js";
import { Attempts } from "../../ui/attempts.js";
import { Avatar, Label, LockChip, Priority, ReadyChip, RelativeTime } from "../../ui/chips.js";
import { Due } from "../../ui/due.js";
import { Icon } from "../../ui/icons.js";
import { Since } from "../../ui/since.js";
import { isTouch, longPress, selectOnClick } from "../../ui/select_box.js";

const LABELS_SHOWN = 3;
const FRESH_MS = 2500;

const WORKED = new Set(["REVIEW", "BLOCKED", "DONE"]);
const FINISHED = new Set(["REVIEW", "DONE"]);
const WAITS = new Set(["REVIEW", "BLOCKED"]);

/** The agent of the last lease, on submitted work. */
function Worker(/** @type {{ task: Task }} */ { task }) {
  if (!WORKED.has(task.status) || !task.worked_by) return null;
  return html`<span class="worked-by" title=${`Worked on by ${bidiIsolate(task.worked_by)}`} data-testid="worked-by">
    <${Avatar} id=${task.worked_by} />
    <span class="sr">Worked on by </span>
    <bdi class="clip">${task.worked_by}</bdi>
  </span>`;
}

/** How long agents worked on the task. */
function WorkedTime(/** @type {{ task: Task }} */ { task }) {
  if (!FINISHED.has(task.status) || !task.worked_seconds) return null;
  return html`<span title="Length of all leases for work" data-testid="worked-time">
    worked ${seconds(task.worked_seconds)}
  </span>`;
}

/** The time of work, and how long the task waits or when it was finished. Work to do has none: its order says more. */
function Times(/** @type {{ task: Task }} */ { task }) {
  const isClosed = CLOSED.has(task.status);
  if (!isClosed && !WAITS.has(task.status)) return null;
  return html`<span class="card-times">
    <${WorkedTime} task=${task} />
    <span>${isClosed
      ? html`<${RelativeTime} at=${task.completed_at ?? task.updated_at} />`
      : html`<${Since} task=${task} />`}</span>
  </span>`;
}

/** The state of the task in one line: its readiness or its agent, and how long it has been so. */
function StateLine(/** @type {{ task: Task }} */ { task }) {
  return html`<span class="card-state">
    ${!CLOSED.has(task.status) && !task.lock && html`<${ReadyChip} task=${task} />`}
    ${!task.lock && html`<${Worker} task=${task} />`}
    ${!task.lock && html`<${Times} task=${task} />`}
  </span>`;
}

function Foot(/** @type {{ task: Task, project: string | null }} */ { task, project }) {
  const more = task.labels.length - LABELS_SHOWN;
  return html`<span class="card-foot">
    ${task.lock && html`<span class="muted"><${Since} task=${task} /></span>`}
    <${Due} task=${task} />
    ${!CLOSED.has(task.status) && html`<${Attempts} task=${task} />`}
    ${project && html`<span class="card-project" title=${`Project ${bidiIsolate(project)}`} data-testid="card-project">
      <${Icon} name="projects" />
      <span class="sr">Project </span>
      <span class="clip" dir="auto">${project}</span>
    </span>`}
    ${task.labels.slice(0, LABELS_SHOWN).map((name) => html`<${Label} key=${name} name=${name} />`)}
    ${more > 0 && html`<span class="label more">+${more}</span>`}
  </span>`;
}

/** @type {number | null} */
let dragged = null;

/** The dragged task. During a drag, browsers hide its data from drop targets. */
export const draggedTask = () => state.tasks.get(dragged ?? 0);

export const Card = memo((/** @type {CardProps} */ props) => {
  const { task, epic, project, focusable, open, pending, selected, order } = props;
  const fresh = serverNow() - Date.parse(task.updated_at) < FRESH_MS;
  const drag = (/** @type {UiEvent} */ event) => {
    if (isTouch()) {
      event.preventDefault();
      return;
    }
    dragged = task.id;
    event.dataTransfer.setData("application/x-task", String(task.id));
    event.dataTransfer.effectAllowed = "move";
  };
  const classes = cx(
    "card", open && "open", pending && "pending", fresh && "fresh", task.lock && "held", selected && "selected",
  );
  const click = (/** @type {UiEvent} */ event) =>
    selectOnClick(event, task.id, order) || follow(event, { task: task.id });
  return html`<a class=${classes} href=${hrefOf({ task: task.id })} data-task=${task.id} data-testid="card"
      draggable="true"
    tabindex=${focusable ? 0 : -1} aria-current=${open ? "true" : undefined} onDragStart=${drag}
      onClick=${click} ...${longPress(task.id)}>
    ${selected && html`<span class="sr">Selected. </span>`}
    <span class="card-top">
      <span class="key">#${task.id}</span>
      <${Priority} value=${task.priority} />
      ${epic && html`<span class="epic clip"><bdi>${epic}</bdi></span>`}
    </span>
    <span class="card-name" dir="auto">${task.name}</span>
    ${task.lock && html`<${LockChip} lock=${task.lock} />`}
    <${StateLine} task=${task} />
    <${Foot} task=${task} project=${project} />
  </a>`;
});

/** The name of the epic, unless the board is filtered by epic. */
export function epicShown(/** @type {Task} */ task) {
  if (!task.epic_id || state.route.epic === task.epic_id) return null;
  return state.epics.get(task.epic_id)?.name ?? null;
}

export const projectShown = (/** @type {Task} */ task) => state.projects.get(task.project_id)?.name ?? null;
