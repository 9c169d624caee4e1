// The board: columns by status, keyboard movement between cards.
import { useMinute } from "../../core/clock.js";
import { count } from "../../core/format.js";
import {
  cx, focusedElement, html, useCallback, useLayoutEffect, useRef, useState,
} from "../../core/html.js";
import { loadSetting, saveSetting } from "../../core/local_storage.js";
import { STATUSES, STATUS_NAMES } from "../../core/vocabulary.js";
import { ofSeveralProjects, visibleColumns } from "../../state/filters.js";
import { navigate } from "../../state/route.js";
import { isSelecting, selectRange } from "../../state/selection.js";
import { dispatchNow, state, useStore } from "../../state/store.js";
import { StatusIcon } from "../../ui/icons.js";
import { Column, focusCard } from "./column.js";
import { NoTasks } from "./no_tasks.js";
import { Sideways } from "./sideways.js";

const FOLDED_AT_FIRST = ["CANCELLED"];

/** The choice of the column on a narrow screen, which shows one column. */
function Tabs(/** @type {{ columns: Columns, current: string }} */ { columns, current }) {
  const tabs = useRef(null);
  useLayoutEffect(() => {
    tabs.current.querySelector("[aria-pressed=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [current]);
  return html`<div class="status-tabs" role="group" aria-label="Column" ref=${tabs}>
    ${STATUSES.map((status) => html`<button key=${status} type="button" class=${cx("tab", status === current && "on")}
        aria-pressed=${status === current} onClick=${() => navigate({ status }, { replace: true })}>
      <${StatusIcon} status=${status} />
      ${STATUS_NAMES[status]}
      <span class="count">${count(columns[status].length)}</span>
    </button>`)}
  </div>`;
}

export function Board() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const route = useStore((now) => now.route);
  const selecting = useStore(isSelecting);
  const [folded, setFolded] = useState(() => new Set(loadSetting("folded", FOLDED_AT_FIRST)));
  const onFold = useCallback((/** @type {Status} */ status) => setFolded((old) => {
    const next = new Set(old);
    if (!next.delete(status)) next.add(status);
    saveSetting("folded", [...next]);
    return next;
  }), []);
  useMinute();
  const columns = visibleColumns(state);
  const several = ofSeveralProjects(columns);
  if (STATUSES.every((status) => columns[status].length === 0)) return html`<${NoTasks} />`;
  const current = STATUSES.find((status) => status === route.status) ?? "TODO";
  const onFocus = (/** @type {UiEvent} */ event) => {
    const id = shownTask(event.target);
    if (id && id !== state.cursor) dispatchNow({ type: "cursor", id });
  };
  return html`<div class=${cx("board", selecting && "selecting")} data-testid="board" onFocusIn=${onFocus}>
    <${Tabs} columns=${columns} current=${current} />
    <${Sideways}>
      ${STATUSES.map((status) => html`<${Column} key=${status} status=${status} tasks=${columns[status]}
          several=${several} folded=${folded.has(status) && status !== current} current=${status === current}
          onFold=${onFold} />`)}
    <//>
  </div>`;
}

/** Return the statuses of the visible columns that are neither folded nor empty. */
function reachableStatuses(/** @type {Columns} */ columns) {
  const isShown = (/** @type {Status} */ status) =>
    /** @type {HTMLElement | null} */ (document.querySelector(`.column[data-status=${status}]`))?.offsetParent;
  return STATUSES.filter((status) => columns[status].length && isShown(status));
}

/** Return the id of the task of the card or row around the element. */
function shownTask(/** @type {HTMLElement | null} */ element) {
  /** @type {HTMLElement | null | undefined} */
  const shown = element?.closest("[data-task], [data-row]");
  return Number(shown?.dataset.task ?? shown?.dataset.row);
}

/** Return the task of the last focused card or row while the view lists it: a key must not reach a hidden task. */
function lastTask() {
  const task = state.tasks.get(state.cursor ?? 0);
  const isListed = state.route.view === "board" || state.route.view === "table";
  return task && isListed && visibleColumns(state)[task.status].includes(task) ? task : null;
}

/** Return the task of keyboard commands: that of the focused card or row, the open one, or the last one. */
export function taskAtHand() {
  const id = shownTask(focusedElement()) || state.route.task;
  return id ? state.tasks.get(id) ?? null : lastTask();
}

function goTo(/** @type {number} */ id) {
  focusCard(id);
  dispatchNow({ type: "cursor", id });
}

/** Move by arrow keys: `across` columns, `down` cards. */
export function moveCursor(/** @type {number} */ across, /** @type {number} */ down) {
  const columns = visibleColumns(state);
  const statuses = reachableStatuses(columns);
  if (statuses.length === 0) return;
  const task = state.tasks.get(state.cursor ?? 0);
  const column = task ? statuses.indexOf(task.status) : -1;
  const row = task && column >= 0 ? columns[task.status].findIndex((other) => other.id === task.id) : -1;
  if (row < 0) {
    goTo(columns[statuses[0]][0].id);
    return;
  }
  const status = statuses[Math.max(0, Math.min(statuses.length - 1, column + across))];
  const target = across
    ? Math.min(row, columns[status].length - 1)
    : Math.max(0, Math.min(columns[status].length - 1, row + down));
  goTo(columns[status][target].id);
}

/** Move the cursor by one card and select the cards between the start and it. */
export function extendSelection(/** @type {number} */ down) {
  const from = taskAtHand();
  if (!from) return;
  const ids = visibleColumns(state)[from.status].map((task) => task.id);
  if (state.cursor !== from.id) dispatchNow({ type: "cursor", id: from.id });
  moveCursor(0, down);
  selectRange(ids, state.cursor ?? from.id, from.id);
}

/** Go to the first or last card of the column. */
export function moveToEnd(/** @type {boolean} */ last) {
  const status = state.tasks.get(state.cursor ?? 0)?.status;
  const tasks = status ? visibleColumns(state)[status] : [];
  if (tasks.length) goTo(tasks[last ? tasks.length - 1 : 0].id);
}
