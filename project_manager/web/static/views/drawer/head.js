// The head of a task: its place, name and times, its lease or the reasons against work, and the decisions of a person.
import { html } from "../../core/html.js";
import { canWrite, reasonsOf } from "../../core/vocabulary.js";
import { decisionsOf } from "../../state/decisions.js";
import { roundsWords } from "../../state/reviews.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { claimTask } from "../../state/task_leases.js";
import { waitingKindOf } from "../../state/waiting.js";
import { Icon } from "../../ui/icons.js";
import { LatestLogEntry } from "../../ui/latest_log_entry.js";
import { Markdown } from "../../ui/markdown.js";
import { MessageButton } from "../page/messages.js";
import { PauseButton } from "../page/pauses.js";
import { InlineFields, InlineName } from "./inline_fields.js";
import { Lease } from "./lease.js";
import { Question } from "./question.js";
import { Offer } from "./review.js";
import { ParentLink } from "./subtasks.js";
import { Times } from "./times.js";

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
  ${waitingKindOf(task) === "rounds" && html`<p class="warn-line" data-testid="rounds-reached">
      <${Icon} name="warn" />${roundsWords(task)}
    </p>`}
  <div class="row" role="group" aria-label="Decision" data-testid="decisions">
    ${decisions.map(({ name, primary, keys, hint, act }) => html`<button key=${name} type="button" data-key=${keys}
        class=${primary ? "primary" : ""} title=${[hint, keys && `(${keys})`].filter(Boolean).join(" ") || undefined}
        onClick=${() => act(task)}>${name}</button>`)}
  </div>`;
}

/** The name, the lease or the reasons against work, the last report, and the decisions of a person. */
export function Head(/** @type {{ task: Task, history: TaskHistory | null }} */ { task, history }) {
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
