// The panel of one task, beside the board.
import { minutes } from "../../core/format.js";
import { cx, html, useEffect, useRef, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { TASK_FIELDS } from "../../core/task_fields.js";
import { PRIORITY_NAMES, STATUS_NAMES, canWrite, reasonsOf, statusChoices } from "../../core/vocabulary.js";
import { claimTask, copyLink, deleteTask, editTask, moveTask, setPriority } from "../../state/actions.js";
import { decisionsOf, needsVerdictOfPerson } from "../../state/decisions.js";
import { roundsWords } from "../../state/reviews.js";
import { closeTask, follow, hrefOf, toggleFull } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { readTask } from "../../state/sync.js";
import { Attempts } from "../../ui/attempts.js";
import { RelativeTime, TaskLink } from "../../ui/chips.js";
import { Collapsible } from "../../ui/collapsible.js";
import { DueDate } from "../../ui/due.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { LatestLogEntry } from "../../ui/latest_log_entry.js";
import { Assumptions, TaskKnowledge } from "../../ui/knowledge.js";
import { Markdown } from "../../ui/markdown.js";
import { returnFocus } from "../board/column.js";
import { MessageButton } from "../page/messages.js";
import { PauseButton } from "../page/pauses.js";
import { History } from "./history.js";
import { InlineFields, InlineName } from "./inline_fields.js";
import { Lease } from "./lease.js";
import { Log } from "./log.js";
import { TaskMessages } from "./messages.js";
import { Question } from "./question.js";
import { Criteria, Offer, Submission } from "./review.js";
import { ParentLink, Subtasks } from "./subtasks.js";
import { Times, useHistory } from "./times.js";

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

function ReadinessPanel(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((now) => canWrite(now.session));
  const reasons = reasonsOf(task);
  if (task.lock) return html`<${Lease} task=${task} lock=${task.lock} writer=${writer} />`;
  const claim = writer && html`<button type="button" onClick=${() => claimTask(task)} data-testid="claim">
    <${Icon} name="hand" />
    Lock it
  </button>`;
  if (task.ready) {
    return html`<div class="readiness ready">
      <p><${Icon} name="check" /><b>Ready.</b> The next agent can claim it.</p>
      ${claim}
    </div>`;
  }
  if (task.status === "IN_PROGRESS") {
    return html`<div class="readiness warn">
      <p><${Icon} name="warn" /><b>No holder.</b> It was set in progress without a lease.</p>
      ${claim}
    </div>`;
  }
  if (reasons.length === 0) return null;
  return html`<div class="readiness no">
    <p><${Icon} name="clock" /><b>Not ready:</b></p>
    <ul>${reasons.map((reason) => html`<li key=${reason}><${Markdown} text=${reason} /></li>`)}</ul>
    <${Offer} task=${task} />
  </div>`;
}

/** The decisions about a waiting task. */
function Decisions(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((now) => canWrite(now.session));
  const decisions = writer ? decisionsOf(task) : [];
  if (decisions.length === 0) return html`<${Question} task=${task} />`;
  return html`<${Question} task=${task} />
  ${needsVerdictOfPerson(task) && html`<p class="warn-line" data-testid="rounds-reached">
      <${Icon} name="warn" />${roundsWords(task)}
    </p>`}
  <div class="row" role="group" aria-label="Decision" data-testid="decisions">
    ${decisions.map(({ name, primary, keys, hint, act }) => html`<button key=${name} type="button" data-key=${keys}
        class=${primary ? "primary" : ""} title=${[hint, keys && `(${keys})`].filter(Boolean).join(" ") || undefined}
        onClick=${() => act(task)}>${name}</button>`)}
  </div>`;
}

function Links(/** @type {{ title: string, ids: number[] }} */ { title, ids }) {
  if (ids.length === 0) return null;
  return html`<section>
    <h3>${title}</h3>
    <ul class="links">${ids.map((id) => html`<li key=${id}><${TaskLink} id=${id} /></li>`)}</ul>
  </section>`;
}

/** Space between the drawer and the card that it would cover. */
const SPACE = 12;

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

function Facts(/** @type {{ task: Task }} */ { task }) {
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

function Breadcrumbs(/** @type {{ task: Task }} */ { task }) {
  const project = state.projects.get(task.project_id);
  const epic = state.epics.get(task.epic_id ?? 0);
  const link = (/** @type {string} */ name, /** @type {RouteChanges} */ changes) =>
    html`<a href=${hrefOf(changes)} onClick=${(event) => follow(event, changes)}>
    ${name}
  </a>`;
  return html`<nav class="breadcrumbs" aria-label="Project and epic">
    ${project && link(project.name, { project: project.id, epic: null })}
    ${epic && html`<${Icon} name="chevron" />${link(epic.name, { project: epic.project_id, epic: epic.id })}`}
    <${ParentLink} task=${task} />
  </nav>`;
}

const TABS = [["log", "Log", "log"], ["history", "History", "history"]];

function Tabs(/** @type {{ task: Task }} */ { task }) {
  const [tab, setTab] = useState("log");
  const onKeyDown = onKeys((event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = tab === "log" ? "history" : "log";
    setTab(other);
    document.getElementById(`tab-${other}`)?.focus();
  });
  return html`<section>
    <div class="tabs" role="tablist" aria-label="Log and history" onKeyDown=${onKeyDown}>
      ${TABS.map(([id, name, icon]) => html`<button key=${id} type="button" id=${`tab-${id}`} role="tab" class="tab"
          aria-selected=${tab === id} aria-controls="tab-panel" tabindex=${tab === id ? 0 : -1}
          onClick=${() => setTab(id)}><${Icon} name=${icon} />${name}</button>`)}
    </div>
    <div id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
      ${tab === "log" ? html`<${Log} key=${task.id} task=${task} />` : html`<${History} key=${task.id} task=${task} />`}
    </div>
  </section>`;
}

function FullButton() {
  const full = useStore((now) => Boolean(now.route.full));
  const name = full ? "Show beside the view" : "Show as a page";
  return html`<button type="button" class="quiet icon-button full-button" aria-pressed=${full} aria-label="Full page"
      title=${`${name} (f)`} onClick=${toggleFull} data-testid="full">
    <${Icon} name=${full ? "narrow" : "wide"} />
  </button>`;
}

function Bar(/** @type {{ task: Task, writer: boolean }} */ { task, writer }) {
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

function Description(/** @type {{ task: Task }} */ { task }) {
  const [failure, setFailure] = useState(/** @type {ApiFailure | null} */ (null));
  const shortened = Boolean(task.description_truncated);
  useEffect(() => {
    setFailure(null);
    if (shortened) readTask(task.id).catch(setFailure);
  }, [task.id, task.version, shortened]);
  if (!task.description) return html`<p class="muted">No description.</p>`;
  return html`<${Collapsible}><${Markdown} text=${task.description} /><//>
    ${shortened && html`<p class="muted">
      ${failure ? `The rest could not be read. ${failure.message}` : "Reading the rest…"}
    </p>`}`;
}

/** The name, the lease or the reasons against work, the last report, and the decisions of a person. */
function Head(/** @type {{ task: Task, history: TaskHistory | null }} */ { task, history }) {
  return html`<${Breadcrumbs} task=${task} />
    <${InlineName} task=${task} />
    <${Times} task=${task} history=${history} />
    <${InlineFields} task=${task} />
    <${ReadinessPanel} task=${task} />
    <${LatestLogEntry} task=${task} />
    <${Decisions} task=${task} />
    <div class="row">
      ${task.lock && html`<${MessageButton} target=${{ to_task: task.id }} name=${`the holder of #${task.id}`} />`}
      <${PauseButton} scope="task" id=${task.id} name=${`task #${task.id}`} />
    </div>`;
}

/** One column, or two on a page: the work on the left, what belongs to it on the right. */
function Body(/** @type {{ task: Task }} */ { task }) {
  const history = useHistory(task);
  const dependents = [...(state.dependents.get(task.id) ?? [])];
  const conflicts = new Set([...task.conflicts_with, ...(state.conflicts.get(task.id) ?? [])]);
  return html`<div class="drawer-body" tabindex="-1">
    <div class="drawer-main">
      <${Head} task=${task} history=${history} />
      <${Submission} task=${task} history=${history} />
      <${Tabs} task=${task} />
      <section data-testid="description"><h3>Description</h3><${Description} task=${task} /></section>
      <${Criteria} task=${task} />
    </div>
    <div class="drawer-side">
      <${TaskMessages} task=${task} />
      <${Subtasks} task=${task} />
      <${Links} title="Waits for" ids=${task.depends_on} />
      <${Links} title="Unblocks" ids=${dependents} />
      <${Links} title="Never at the same time as" ids=${[...conflicts]} />
      <${Assumptions} task=${task} />
      <${TaskKnowledge} task=${task} />
      <${Facts} task=${task} />
    </div>
  </div>`;
}

function LoadFailed(/** @type {{ id: number, failure: ApiFailure }} */ { id, failure }) {
  const title = failure.status === 404 ? `Task #${id} not found` : failure.message;
  return html`<div role="alert"><h2>${title}</h2><p class="muted">${failure.hint}</p></div>
    <div><button type="button" class="primary" onClick=${closeTask}>Close</button></div>`;
}

function Missing(/** @type {{ id: number }} */ { id }) {
  const [failure, setFailure] = useState(/** @type {ApiFailure | null} */ (null));
  useEffect(() => {
    readTask(id).catch(setFailure);
  }, [id]);
  return html`<header class="drawer-bar">
    <span class="key">#${id}</span>
    <span class="push"></span>
    <button type="button" class="quiet icon-button close" aria-label="Close task" onClick=${closeTask}>
      <${Icon} name="close" />
    </button>
  </header>
    <div class="drawer-body">
      ${failure ? html`<${LoadFailed} id=${id} failure=${failure} />` : html`<p class="muted">Reading…</p>`}
    </div>`;
}

/** Scroll the columns of the board if the drawer covers the card of its task. Other cards stay where they are. */
function uncoverCard(/** @type {number} */ id, /** @type {HTMLElement} */ drawer) {
  const card = document.querySelector(`.column-scroll [data-task="${id}"]`);
  const beyond = card ? card.getBoundingClientRect().right - drawer.getBoundingClientRect().left : 0;
  if (beyond > 0) card?.closest(".columns")?.scrollBy({ left: beyond + SPACE, behavior: "instant" });
}

/** Focus the drawer when it opens, and return the focus to the card when it closes. */
function useFocus(/** @type {number} */ id) {
  const element = useRef(null);
  useEffect(() => {
    element.current.focus({ preventScroll: true });
    if (!state.route.full) uncoverCard(id, element.current);
    return () => returnFocus(id);
  }, [id]);
  return element;
}

export function Drawer(/** @type {{ id: number }} */ { id }) {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const writer = useStore((now) => canWrite(now.session));
  const full = useStore((now) => Boolean(now.route.full));
  const overBoard = useStore((now) => now.route.view === "board");
  const element = useFocus(id);
  const task = state.tasks.get(id);
  const kind = cx("drawer", full && "full", overBoard && "above-board", task?.lock && "held");
  return html`<aside class=${kind} ref=${element} tabindex="-1"
      aria-label=${`Task ${id}${task ? `: ${task.name}` : ""}`} data-testid="drawer">
    ${task ? html`<${Bar} task=${task} writer=${writer} /><${Body} task=${task} />` : html`<${Missing} id=${id} />`}
  </aside>`;
}
