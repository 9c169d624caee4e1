// The list of tasks that need a person.
import { toast } from "../core/ask.js";
import { serverNow, useNow } from "../core/clock.js";
import { dueDatetime, dueInFull, isPast } from "../core/due.js";
import { testOf } from "../core/filters.js";
import { bidiIsolate, duration, fullTime } from "../core/format.js";
import { cx, html, useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { follow, hrefOf } from "../core/route.js";
import { state, useStore } from "../core/store.js";
import { CLOSED, STATUS_NAMES, canWrite, isWithoutHolder } from "../core/vocabulary.js";
import { Attempts } from "../ui/attempts.js";
import { Empty, LockChip, Priority } from "../ui/chips.js";
import { Icon, StatusIcon } from "../ui/icons.js";
import { LatestLogEntry } from "./latest_log_entry.js";
import { lastInputWasKeyboard, usePointerGuard, useStableList } from "./stable_list.js";
import {
  ACCEPT, BLOCK, CANCEL, DROP_CANCELLED, MARK_DONE, MOVE_TO_TODO, POSTPONE, REQUEUE, RESET_ATTEMPTS, SEND_BACK, UNBLOCK,
  isAtCap,
} from "./decisions.js";

const hasCancelled = (task) => task.cancelled_dependencies?.length > 0;
const isOverdue = (task) => task.due_at && !CLOSED.has(task.status) && isPast(task.due_at, serverNow());

// A task belongs to the first group that fits. `from`: the statuses to search; null means all.
const GROUPS = [
  {
    id: "attempts", title: "Failed too often",
    explain: "The attempt limit is reached. Read the log, then requeue the task.",
    from: ["BLOCKED", "TODO"], test: isAtCap, actions: [REQUEUE, CANCEL],
  },
  {
    id: "review", title: "Review", explain: "Finished by an agent, waiting for a person to accept it.",
    from: ["REVIEW"], test: () => true, actions: [ACCEPT, SEND_BACK],
  },
  {
    id: "blocked", title: "Blocked", explain: "Marked as blocked by an agent or a person.",
    from: ["BLOCKED"], test: () => true, actions: [UNBLOCK, CANCEL],
  },
  {
    id: "cancelled", title: "Waiting for cancelled work",
    explain: "Depends on a cancelled task: not ready until the dependency is removed or the task is reopened.",
    from: ["TODO", "BACKLOG"], test: hasCancelled, actions: [DROP_CANCELLED, CANCEL],
  },
  {
    id: "lost", title: "Lost leases", explain: "A lease expired or was released as failed; the task is ready again.",
    from: ["TODO"], test: (task) => task.attempts > 0, actions: [RESET_ATTEMPTS, BLOCK],
  },
  {
    id: "no-holder", title: "In progress without a holder",
    explain: "In progress without a lease: agents do not claim it.",
    from: ["IN_PROGRESS"], test: isWithoutHolder, actions: [MOVE_TO_TODO, MARK_DONE],
  },
  {
    id: "overdue", title: "Overdue", explain: "Past its due date and not done.",
    from: null, test: isOverdue, actions: [POSTPONE],
  },
];

let changes = { revision: -1, times: new Map() };

/** Return the time of the last status change, or of the last change without a known event. */
function waitingSince(task) {
  if (changes.revision !== state.revision.events) {
    const found = state.events.filter((event) => event.type === "task.status_changed");
    changes = {
      revision: state.revision.events,
      times: new Map(found.map((event) => [event.task_id, event.timestamp])),
    };
  }
  return changes.times.get(task.id) ?? task.updated_at;
}

// By task object: a row that left the list keeps the time of its old task.
const waitingFrom = new WeakMap();

/** Sort by the number of blocked tasks, then by waiting time. */
function sortByUrgency(tasks) {
  for (const task of tasks) waitingFrom.set(task, waitingSince(task));
  const byTime = (a, b) =>
    (waitingFrom.get(a) < waitingFrom.get(b) ? -1 : waitingFrom.get(a) > waitingFrom.get(b) ? 1 : a.id - b.id);
  return tasks.sort((a, b) => b.unblocks - a.unblocks || byTime(a, b));
}

/** Return [{ group, tasks }] of the waiting tasks in the chosen project. */
export function needsOf(now) {
  const inProject = testOf({ project: now.route.project }) ?? (() => true);
  const placed = new Set();
  return GROUPS.map((group) => {
    const pool = group.from ? group.from.flatMap((status) => now.columns[status]) : [...now.tasks.values()];
    const tasks = pool.filter((task) => !placed.has(task.id) && inProject(task) && group.test(task));
    for (const task of tasks) placed.add(task.id);
    return { group, tasks: sortByUrgency(tasks) };
  }).filter(({ tasks }) => tasks.length);
}

let memory = { key: "", count: 0 };

/** Return the number of listed tasks, for the badge. */
export function needsCount(now) {
  const key = `${now.revision.tasks}:${now.revision.plans}:${now.route.project}`;
  if (memory.key !== key) {
    const count = needsOf(now).reduce((sum, { tasks }) => sum + tasks.length, 0);
    memory = { key, count };
  }
  return memory.count;
}

const WORDS_SHOWN = 12;
const SHOWN = 50;

function Waiting({ task }) {
  const now = useNow(15);
  const at = waitingFrom.get(task) ?? waitingSince(task);
  return html`<time class="muted waiting" datetime=${at} title=${fullTime(at)}>
    waiting ${duration(Math.max(now, serverNow() - 1000) - Date.parse(at))}
  </time>`;
}

function Facts({ task }) {
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
    ${isOverdue(task) && html`<span class="due over" data-testid="due">
      <${Icon} name="flag" />
      <time datetime=${dueDatetime(task.due_at)}>due ${dueInFull(task.due_at)}</time>
    </span>`}
    ${hasCancelled(task) && html`<span>
      waits for ${task.cancelled_dependencies.map((id) => `#${id}`).join(", ")}, cancelled
    </span>`}
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
function Outcome({ task, deleted, actions }) {
  return html`<span class="need-actions">
    <span class="need-outcome" data-testid="need-outcome">${deleted ? "Deleted" : STATUS_NAMES[task.status]}</span>
    ${actions.map(({ name }) => html`<button key=${`was ${name}`} type="button" class="small ghost" disabled>
      ${name}
    </button>`)}
  </span>`;
}

function Need({ row, actions, writer, words, isMisclick }) {
  const { task, before, gone, deleted } = row;
  const open = { task: task.id };
  const act = (event, action) => {
    if (isMisclick(event)) {
      toast("The list changed while you clicked. Nothing was done.", { hint: "Click the row again." });
    } else {
      action.act(task);
    }
  };
  return html`<li class=${cx("need", gone && "gone")} data-need=${row.key} data-testid="need">
    <a class="need-name" href=${hrefOf(open)} data-task=${task.id} onClick=${(event) => follow(event, open)}>
      <${StatusIcon} status=${task.status} />
      <span class="key">#${task.id}</span>
      <span class="clip" dir="auto">${task.name}</span>
    </a>
    <${Facts} task=${gone ? before : task} />
    ${gone && html`<${Outcome} task=${task} deleted=${deleted} actions=${writer ? actions : []} />`}
    ${!gone
      && writer
      && html`<span class="need-actions">
        ${actions.map((action) => html`<button key=${action.name} type="button"
            class=${action.primary ? "small primary" : "small"} aria-label=${`${action.name}: #${task.id} ${task.name}`}
            onClick=${(event) => act(event, action)}>${action.name}</button>`)}
      </span>`}
    ${words && html`<${LatestLogEntry} task=${task} fixed=${gone} />`}
  </li>`;
}

function Group({ group, rows, writer, isMisclick }) {
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

const rowElements = (frame) => [...frame.querySelectorAll("[data-need]")];
const firstControl = (row) => row.querySelector(".need-actions button") ?? row.querySelector("a");

/** Return the next waiting row after `key`, else the one before it, else null. */
function neighbourOf(frame, key, order) {
  const rows = rowElements(frame).filter((row) => !row.classList.contains("gone"));
  const at = order.indexOf(key);
  const place = (row) => order.indexOf(row.dataset.need);
  return rows.find((row) => place(row) > at) ?? rows.findLast((row) => place(row) < at) ?? null;
}

/** Move the focus from a row that left the list to the next one. */
function useFocusOnNext(frame) {
  const last = useRef(null);
  const onFocusIn = (event) => {
    const row = event.target.closest("[data-need]");
    last.current = row && { key: row.dataset.need, order: rowElements(frame.current).map((one) => one.dataset.need) };
  };
  // A dialog returns the focus. Only if the row itself was removed is the element disconnected afterwards.
  const onFocusOut = ({ target }) => {
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
function useFirstFocus(frame) {
  useEffect(() => {
    if (lastInputWasKeyboard() && !state.route.task && state.dialogs.length === 0) {
      frame.current.querySelector("[data-need] a")?.focus();
    }
  }, []);
}

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/** Move the focus to the same control of the next row. */
function walk(event, frame) {
  const row = event.target.closest?.("[data-need]");
  if (!row || !STEPS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
  const rows = rowElements(frame);
  const next = rows[rows.indexOf(row) + STEPS[event.key]];
  event.preventDefault();
  if (!next) return;
  const controls = [...row.querySelectorAll("a, button")];
  const same = [...next.querySelectorAll("a, button")][controls.indexOf(event.target)];
  (same ?? firstControl(next)).focus();
}

const all = (...handlers) => (event) => handlers.forEach((handler) => handler(event));

export function Needs() {
  useStore((now) => now.revision.tasks);
  useStore((now) => now.revision.plans);
  useStore((now) => now.route.project);
  const writer = useStore((now) => canWrite(now.session));
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
    </div>
    ${groups.length === 0 && html`<${Empty} title="Nothing waits for you">
      <p><${Icon} name="check" /> Reviews, blocked tasks and lost leases will appear here.</p>
    <//>`}
    ${groups.map(({ group, rows }) => html`<${Group} key=${group.id} group=${group} rows=${rows} writer=${writer}
        isMisclick=${isMisclick} />`)}
  </section>`;
}
