// One task that needs a person: its facts, its texts and its buttons.
import { serverNow, useNow } from "../../core/clock.js";
import { dueDatetime, dueInFull } from "../../core/due.js";
import { bidiIsolate, duration, fullTime } from "../../core/format.js";
import { cx, html, useEffect, useRef, useState } from "../../core/html.js";
import { STATUS_NAMES } from "../../core/vocabulary.js";
import { hasQuestion } from "../../state/questions.js";
import { follow, hrefOf } from "../../state/route.js";
import { state } from "../../state/store.js";
import { hasCancelled, heldBackBy, heldBackWords } from "../../state/waiting.js";
import { Attempts } from "../../ui/attempts.js";
import { LockChip, Priority, TaskLink } from "../../ui/chips.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { LatestLogEntry } from "../../ui/latest_log_entry.js";
import { Question } from "../drawer/question.js";
import { isOverdue, waitingSince } from "./groups.js";
import { NeedRounds, NeedSubmission } from "./submission.js";

const IDS_SHOWN = 10;

function Waiting(/** @type {{ task: Task }} */ { task }) {
  const now = useNow(15);
  const at = waitingSince(task);
  return html`<time class="muted waiting" datetime=${at} title=${fullTime(at)}>
    waiting ${duration(Math.max(now, serverNow() - 1000) - Date.parse(at))}
  </time>`;
}

function Links(/** @type {{ ids: number[] }} */ { ids }) {
  const more = ids.length - IDS_SHOWN;
  const shown = ids.slice(0, IDS_SHOWN);
  return html`${shown.map((id, index) => html`${index > 0 && ", "}<${TaskLink} id=${id} bare short />`)}
    ${more > 0 && ` and ${more} more`}`;
}

/** The other tasks that the task waits for. Paths matter only before work begins. */
function OtherTasks(/** @type {{ task: Task }} */ { task }) {
  const waits = task.status === "TODO" && task.path_conflicts?.length > 0;
  return html`
    ${hasCancelled(task) && html`<span>waits for <${Links} ids=${task.cancelled_dependencies} />, cancelled</span>`}
    ${waits && html`<span>waits for the paths of <${Links} ids=${task.path_conflicts} /></span>`}
  `;
}

function HoldsBack(/** @type {{ task: Task }} */ { task }) {
  const held = heldBackBy(state, task);
  if (held === 0) return null;
  const title = "Tasks that wait for this one, directly or through others";
  return html`<b class="holds-back" title=${title} data-testid="holds-back">holds back ${heldBackWords(held)}</b>`;
}

function Facts(/** @type {{ task: Task }} */ { task }) {
  const project = !state.route.project && state.projects.get(task.project_id)?.name;
  const agent = !task.lock && task.worked_by;
  return html`<span class="need-facts">
    ${project && html`<span class="need-project" title=${`Project ${bidiIsolate(project)}`}>
      <${Icon} name="projects" />
      <span class="sr">Project </span>
      <bdi class="clip">${project}</bdi>
    </span>`}
    <${Priority} value=${task.priority} />
    <${HoldsBack} task=${task} />
    <${Attempts} task=${task} />
    <${NeedRounds} task=${task} />
    ${task.due_at && isOverdue(task) && html`<span class="due over" data-testid="due">
      <${Icon} name="flag" />
      <time datetime=${dueDatetime(task.due_at)}>due ${dueInFull(task.due_at)}</time>
    </span>`}
    <${OtherTasks} task=${task} />
    ${task.lock && html`<${LockChip} lock=${task.lock} bar=${false} />`}
    ${agent && html`<span class="worked-by" title=${`Worked on by ${bidiIsolate(agent)}`}>
      <${Icon} name="agents" />
      <span class="sr">Worked on by </span>
      <bdi class="clip">${agent}</bdi>
    </span>`}
    <${Waiting} task=${task} />
  </span>`;
}

/** The new status in place of the buttons. The row keeps its height, so that the rows below do not move. */
function Outcome(/** @type {{ task: Task, deleted: boolean, actions: Decision[] }} */ { task, deleted, actions }) {
  return html`<span class="need-actions">
    <span class="need-outcome" data-testid="need-outcome">${deleted ? "Deleted" : STATUS_NAMES[task.status]}</span>
    ${actions.map(({ name, icon }) => html`<button key=${`was ${name}`} type="button" class="small ghost" disabled>
      ${icon ? html`<${Icon} name=${icon} />` : name}
    </button>`)}
  </span>`;
}

/** A button of a row. Its key presses it while the row has the focus. `keys` absent: no key. */
export function RowButton(/** @type {RowButtonProps} */ { action, label, onClick }) {
  const { name, icon, primary, keys, hint } = action;
  const title = [hint, keys && `(${keys})`].filter(Boolean).join(" ") || undefined;
  return html`<button type="button" class=${primary ? "small primary" : "small"} aria-label=${`${name}: ${label}`}
      title=${title} data-key=${keys} onClick=${onClick}>${icon ? html`<${Icon} name=${icon} />` : name}</button>`;
}

/** The texts of a row: the submission, and the question or the latest log entry. `shown` is the task of the row. */
function Words(/** @type {{ task: Task, shown: Task, fixed: boolean }} */ { task, shown, fixed }) {
  const part = hasQuestion(shown) ? Question : LatestLogEntry;
  return html`
    ${shown.status === "REVIEW" && html`<${NeedSubmission} task=${task} fixed=${fixed} />`}
    <${part} task=${task} fixed=${fixed} keys />
  `;
}

/** Return whether the element has come near the window. `atOnce` does not wait for that. */
function useSeen(/** @type {Ref} */ element, /** @type {boolean} */ atOnce) {
  const [seen, setSeen] = useState(atOnce);
  useEffect(() => {
    if (seen) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    }, { rootMargin: "0px 0px 300px 0px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [seen]);
  return seen;
}

export function Need(/** @type {NeedProps} */ { row, actions, writer, words, onAct }) {
  const { task, before, gone, deleted } = row;
  const element = useRef(null);
  const seen = useSeen(element, words);
  const fixed = gone || state.pending.has(task.id);
  const open = { task: task.id };
  const shown = gone ? before : task;
  const texts = seen && html`<${Words} task=${task} shown=${shown} fixed=${fixed} />`;
  const asks = hasQuestion(shown);
  return html`<li class=${cx("need", gone && "gone")} ref=${element} data-need=${row.key} data-row=${task.id}
      data-testid="need">
    <a class="need-name" href=${hrefOf(open)} data-task=${task.id} data-key="o"
        onClick=${(event) => follow(event, open)}>
      <${StatusIcon} status=${task.status} />
      <span class="key">#${task.id}</span>
      <span class="clip" dir="auto">${task.name}</span>
    </a>
    <${Facts} task=${shown} />
    ${asks && texts}
    ${gone && html`<${Outcome} task=${task} deleted=${deleted} actions=${writer ? actions : []} />`}
    ${!gone
      && writer
      && html`<span class="need-actions">
        ${actions.map((action) => html`<${RowButton} key=${action.name} action=${action}
            label=${`#${task.id} ${task.name}`}
            onClick=${(event) => onAct(event, () => action.act(task))} />`)}
      </span>`}
    ${!asks && texts}
  </li>`;
}
