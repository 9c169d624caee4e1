// The list of tasks that need a person.
import { serverNow, useNow } from "../../core/clock.js";
import { dueDatetime, dueInFull } from "../../core/due.js";
import { bidiIsolate, duration, fullTime } from "../../core/format.js";
import { cx, html, useEffect, useLayoutEffect, useRef, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { STATUS_NAMES, canWrite } from "../../core/vocabulary.js";
import { hasQuestion } from "../../state/questions.js";
import { follow, hrefOf } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { toast } from "../../state/toasts.js";
import { Attempts } from "../../ui/attempts.js";
import { Empty, LockChip, Priority } from "../../ui/chips.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { LatestLogEntry } from "../../ui/latest_log_entry.js";
import { Question } from "../drawer/question.js";
import { WaitingMessages } from "../page/messages.js";
import { NoticesButton } from "../page/notices.js";
import { hasCancelled, isOverdue, needsOf, waitingSince } from "./groups.js";
import { lastInputWasKeyboard, usePointerGuard, useStableList } from "./stable_list.js";
import { NeedRounds, NeedSubmission } from "./submission.js";

const WORDS_SHOWN = 12;
const SHOWN = 50;

function Waiting(/** @type {{ task: Task }} */ { task }) {
  const now = useNow(15);
  const at = waitingSince(task);
  return html`<time class="muted waiting" datetime=${at} title=${fullTime(at)}>
    waiting ${duration(Math.max(now, serverNow() - 1000) - Date.parse(at))}
  </time>`;
}

const numbers = (/** @type {number[]} */ ids) => ids.map((id) => `#${id}`).join(", ");

/** The other tasks that the task waits for. Paths matter only before work begins. */
function OtherTasks(/** @type {{ task: Task }} */ { task }) {
  const waits = task.status === "TODO" && task.path_conflicts?.length > 0;
  return html`
    ${hasCancelled(task) && html`<span>waits for ${numbers(task.cancelled_dependencies)}, cancelled</span>`}
    ${waits && html`<span>waits for the paths of ${numbers(task.path_conflicts)}</span>`}
  `;
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
    ${task.unblocks > 0 && html`<span>blocks ${task.unblocks}</span>`}
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
    ${actions.map(({ name }) => html`<button key=${`was ${name}`} type="button" class="small ghost" disabled>
      ${name}
    </button>`)}
  </span>`;
}

/** The texts of a row: the submission, and the question or the latest log entry. `shown` is the task of the row. */
function Words(/** @type {{ task: Task, shown: Task, fixed: boolean }} */ { task, shown, fixed }) {
  const part = hasQuestion(shown) ? Question : LatestLogEntry;
  return html`
    ${shown.status === "REVIEW" && html`<${NeedSubmission} task=${task} fixed=${fixed} />`}
    <${part} task=${task} fixed=${fixed} />
  `;
}

function Need(/** @type {NeedProps} */ { row, actions, writer, words, isMisclick }) {
  const { task, before, gone, deleted } = row;
  const fixed = gone || state.pending.has(task.id);
  const open = { task: task.id };
  const act = (/** @type {MouseEvent} */ event, /** @type {Decision} */ action) => {
    if (isMisclick(event)) {
      toast("The list changed while you clicked. Nothing was done.", { hint: "Click the row again." });
    } else {
      action.act(task);
    }
  };
  const shown = gone ? before : task;
  const texts = words && html`<${Words} task=${task} shown=${shown} fixed=${fixed} />`;
  const asks = hasQuestion(shown);
  return html`<li class=${cx("need", gone && "gone")} data-need=${row.key} data-testid="need">
    <a class="need-name" href=${hrefOf(open)} data-task=${task.id} onClick=${(event) => follow(event, open)}>
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
        ${actions.map((action) => html`<button key=${action.name} type="button"
            class=${action.primary ? "small primary" : "small"} aria-label=${`${action.name}: #${task.id} ${task.name}`}
            onClick=${(event) => act(event, action)}>${action.name}</button>`)}
      </span>`}
    ${!asks && texts}
  </li>`;
}

function Group(/** @type {GroupProps} */ { group, rows, writer, isMisclick }) {
  const [shown, setShown] = useState(SHOWN);
  const waiting = rows.filter((row) => !row.gone).length;
  return html`<section class="need-group" aria-labelledby=${`need-${group.id}`} data-testid=${`need-${group.id}`}>
    <h2 id=${`need-${group.id}`}>${group.title}<span class="count">${waiting}</span></h2>
    <p class="muted">${group.explain}</p>
    <ul class="needs">
      ${rows.slice(0, shown).map((row, index) => html`<${Need} key=${row.key} row=${row} words=${index < WORDS_SHOWN}
          actions=${group.actions} writer=${writer} isMisclick=${isMisclick} />`)}
    </ul>
    ${rows.length > shown && html`<p>
      <button type="button" class="quiet small" onClick=${() => setShown(shown + SHOWN)}>
        Show more: ${rows.length - shown} are left
      </button>
    </p>`}
  </section>`;
}

const rowElements = (/** @type {HTMLElement} */ frame) =>
  /** @type {HTMLElement[]} */ ([...frame.querySelectorAll("[data-need]")]);
const firstControl = (/** @type {Element} */ row) =>
  row.querySelector(".need-actions button") ?? row.querySelector("a");

/** Return the next waiting row after `key`, else the one before it, else null. */
function neighbourOf(/** @type {HTMLElement} */ frame, /** @type {string} */ key, /** @type {string[]} */ order) {
  const rows = rowElements(frame).filter((row) => !row.classList.contains("gone"));
  const at = order.indexOf(key);
  const place = (/** @type {HTMLElement} */ row) => order.indexOf(row.dataset.need ?? "");
  return rows.find((row) => place(row) > at) ?? rows.findLast((row) => place(row) < at) ?? null;
}

/** Move the focus from a row that left the list to the next one. */
function useFocusOnNext(/** @type {Ref} */ frame) {
  const last = useRef(null);
  const onFocusIn = (/** @type {UiEvent} */ event) => {
    const row = event.target.closest("[data-need]");
    last.current = row && { key: row.dataset.need, order: rowElements(frame.current).map((one) => one.dataset.need) };
  };
  // A dialog returns the focus. Only if the row itself was removed is the element disconnected afterwards.
  const onFocusOut = (/** @type {UiEvent} */ { target }) => {
    const before = last.current;
    queueMicrotask(() => {
      if (state.dialogs.length === 0 && target.isConnected && last.current === before) last.current = null;
    });
  };
  useLayoutEffect(() => {
    const lost = last.current && document.activeElement === document.body && state.dialogs.length === 0;
    if (!lost) return;
    const next = neighbourOf(frame.current, last.current.key, last.current.order);
    (next ? firstControl(next) : frame.current.querySelector("h1")).focus();
  });
  return { onFocusIn, onFocusOut };
}

/** Focus the first row when the view was opened by keyboard. */
function useFirstFocus(/** @type {Ref} */ frame) {
  useEffect(() => {
    if (lastInputWasKeyboard() && !state.route.task && state.dialogs.length === 0) {
      frame.current.querySelector("[data-need] a")?.focus();
    }
  }, []);
}

/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/** Move the focus to the same control of the next row. */
function walk(/** @type {UiEvent} */ event, /** @type {HTMLElement} */ frame) {
  const row = event.target.closest?.("[data-need]");
  if (!row || !STEPS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
  const rows = rowElements(frame);
  const next = rows[rows.indexOf(row) + STEPS[event.key]];
  event.preventDefault();
  if (!next) return;
  const controlsOf = (/** @type {HTMLElement} */ element) =>
    /** @type {HTMLElement[]} */ ([...element.querySelectorAll("a, button")]);
  (controlsOf(next)[controlsOf(row).indexOf(event.target)] ?? firstControl(next)).focus();
}

const all = (/** @type {Array<(event: any) =>
  unknown>} */ ...handlers) => (/** @type {Event} */ event) => handlers.forEach((handler) => handler(event));

export function Needs() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  useStore((now) => now.route.project);
  const writer = useStore((now) => canWrite(now.session));
  const messages = useStore((now) => now.messages.length);
  useStore((now) => now.session?.max_attempts);
  const { groups, newCount, renewable, renew, frame, handlers } = useStableList(needsOf(state));
  const { watch, isMisclick } = usePointerGuard();
  const focus = useFocusOnNext(frame);
  useFirstFocus(frame);
  const renewed = () => {
    renew();
    frame.current.querySelector("h1").focus();
  };
  return html`<section class="page" aria-labelledby="page-title" ref=${frame} ...${handlers} ...${watch}
      onFocusIn=${all(handlers.onFocusIn, focus.onFocusIn)} onFocusOut=${all(handlers.onFocusOut, focus.onFocusOut)}
      onKeyDown=${onKeys((event) => walk(event, frame.current))}>
    <div class="page-head needs-head">
      <h1 id="page-title" tabindex="-1">Needs you</h1>
      <span role="status">
        ${renewable && html`<button type="button" class="small primary" onClick=${renewed} data-testid="needs-news">
          ${newCount ? `${newCount} new` : "Tidy up"}
        </button>`}
      </span>
      <span class="push"></span>
      <${NoticesButton} />
    </div>
    <${WaitingMessages} />
    ${groups.length === 0 && messages === 0 && html`<${Empty} title="Nothing waits for you">
      <p><${Icon} name="check" /> Reviews, blocked tasks and lost leases will appear here.</p>
    <//>`}
    ${groups.map(({ group, rows }) => html`<${Group} key=${group.id} group=${group} rows=${rows} writer=${writer}
        isMisclick=${isMisclick} />`)}
  </section>`;
}
