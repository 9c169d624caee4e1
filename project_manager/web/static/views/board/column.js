// One status of the board: header, drop target and a virtual list of cards.
import { count, plural } from "../../core/format.js";
import { cx, focusedElement, html, memo, useCallback, useLayoutEffect, useRef, useState } from "../../core/html.js";
import { STATUS_NAMES, allowedTransitions, canWrite } from "../../core/vocabulary.js";
import { openDialog } from "../../state/dialogs.js";
import { FILTERS_AND_ORDER } from "../../state/route.js";
import { selectedIds, selectedTasks } from "../../state/selection.js";
import { state, useStore } from "../../state/store.js";
import { moveTask } from "../../state/task_moves.js";
import { Rename } from "../../forms/rename.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { SelectAllBox, SelectBox } from "../../ui/select_box.js";
import { moveMany } from "../selection/choices.js";
import { Card, draggedTask, epicShown, projectShown } from "./card.js";
import { useVirtual } from "./virtual_list.js";

const NEW_IN = new Set(["BACKLOG", "TODO"]);

/** @type {{ id: number, status: Status | null } | null} */
let wanted = null;

/** Focus the card of a task; with `status`, as soon as it is in that column. */
export function focusCard(/** @type {number} */ id, /** @type {Status | null} */ status = null) {
  wanted = { id, status };
}

const hasFocus = (/** @type {number} */ id) => focusedElement()?.dataset.task === String(id);

function focusElement(/** @type {number} */ id) {
  /** @type {HTMLElement | null} */
  const element = document.querySelector(`[data-task="${id}"]`);
  element?.focus({ preventScroll: true });
}

/** Retry in the next frames, because the page takes no focus while a dialog closes. */
function takeFocus(/** @type {number} */ id, frames = 30) {
  focusElement(id);
  if (hasFocus(id)) keepFocus(id);
  else if (frames > 0) requestAnimationFrame(() => takeFocus(id, frames - 1));
}

/** Focus the card of a task, again in the next frames until the board has rendered. */
export function returnFocus(/** @type {number} */ id) {
  focusElement(id);
  requestAnimationFrame(() => keepFocus(id));
}

/** Restore the focus of a card. A move replaces its element. */
function keepFocus(/** @type {number} */ id, frames = 60) {
  if (document.activeElement === document.body) {
    focusElement(id);
  } else if (!hasFocus(id)) {
    return;
  }
  if (frames > 0) requestAnimationFrame(() => keepFocus(id, frames - 1));
}

export function Spacer(/** @type {{ height: number }} */ { height }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    element.current.style.blockSize = `${height}px`;
  }, [height]);
  return html`<div ref=${element} class="spacer" role="presentation"></div>`;
}

/** @param {Ref} scroller @param {Status} status @param {Task[]} tasks @param {Float64Array} sums */
function useWantedFocus(scroller, status, tasks, sums) {
  useLayoutEffect(() => {
    if (wanted === null || (wanted.status !== null && wanted.status !== status)) return;
    const { id } = wanted;
    const index = tasks.findIndex((task) => task.id === id);
    if (index < 0) return;
    const element = scroller.current.querySelector(`[data-task="${id}"]`);
    if (element) {
      takeFocus(id);
      wanted = null;
      element.scrollIntoView({ block: "nearest" });
    } else scroller.current.scrollTop = Math.max(0, sums[index] - scroller.current.clientHeight / 3);
  });
}

/** Scroll to the top when the filters change. */
export function useTopForFilters(/** @type {Ref} */ scroller) {
  const filters = useStore((now) => FILTERS_AND_ORDER.map((name) => now.route[name] ?? "").join("\n"));
  const before = useRef(filters);
  useLayoutEffect(() => {
    if (before.current === filters) return;
    before.current = filters;
    scroller.current.scrollTop = 0;
  }, [filters]);
}

function useDrop(/** @type {Status} */ status) {
  const [over, setOver] = useState(false);
  /** Return the dragged task if it may be dropped here. */
  const accepted = (/** @type {UiEvent} */ event) => {
    const task = draggedTask();
    const fits = event.dataTransfer.types.includes("application/x-task")
      && canWrite(state.session)
      && task
      && allowedTransitions(task.status).includes(status);
    return fits ? task : null;
  };
  return [over, {
    onDragOver: (/** @type {UiEvent} */ event) => {
      if (!accepted(event)) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: (/** @type {UiEvent} */ event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false),
    onDrop: (/** @type {UiEvent} */ event) => {
      setOver(false);
      const task = accepted(event);
      if (!task) return;
      event.preventDefault();
      if (state.selected.size > 1 && state.selected.has(task.id)) moveMany(selectedTasks(), status);
      else moveTask(task, status);
    },
  }];
}

/** Return the task with a name that is edited on its card. The open panel edits the name itself. */
const renamedCard = (/** @type {State} */ now) => (now.route.task === now.renaming ? null : now.renaming);

function Cards(/** @type {CardsProps} */ { status, tasks, several, writer }) {
  const scroller = useRef(null);
  const list = useRef(null);
  const selected = useStore(selectedIds);
  const newest = useRef(tasks);
  newest.current = tasks;
  const order = useCallback(() => newest.current.map((/** @type {Task} */ task) => task.id), []);
  const cursor = useStore((now) => now.cursor);
  const renaming = useStore(renamedCard);
  const opened = useStore((now) => now.route.task);
  useStore((now) => now.revision.plans);
  const { start, end, before, after, sums } = useVirtual(scroller, list, tasks);
  useTopForFilters(scroller);
  useWantedFocus(scroller, status, tasks, sums);
  const rows = tasks.slice(start, end);
  const stop = rows.find((task) => task.id === cursor)?.id ?? rows[0]?.id;
  return html`<div class="column-scroll" ref=${scroller}>
    <div class="cards" role="list" ref=${list} aria-label=${`${STATUS_NAMES[status]} tasks`}>
      <${Spacer} height=${before} />
      ${rows.map((task, index) => html`<div key=${task.id} role="listitem" class="card-row" data-row=${task.id}
          aria-posinset=${start + index + 1} aria-setsize=${tasks.length}>
        <${Card} task=${task} epic=${epicShown(task)} project=${several ? projectShown(task) : null}
            focusable=${task.id === stop} open=${task.id === opened} pending=${state.pending.has(task.id)}
            selected=${selected.has(task.id)} order=${order} />
        ${writer && html`<${SelectBox} task=${task} selected=${selected.has(task.id)} focusable=${task.id === stop}
            order=${order} />`}
        ${task.id === renaming && html`<${Rename} task=${task} onEnd=${() => returnFocus(task.id)} />`}
      </div>`)}
      <${Spacer} height=${after} />
    </div>
    ${tasks.length === 0 && html`<p class="column-empty">Nothing here</p>`}
  </div>`;
}

/** The checkbox of the column, in place of its icon. */
function SelectColumn(/** @type {{ status: Status, tasks: Task[] }} */ { status, tasks }) {
  useStore(selectedIds);
  return html`<${SelectAllBox} ids=${() => tasks.map((task) => task.id)}
      name=${`Select all ${plural(tasks.length, "task")} in ${STATUS_NAMES[status]}`} />`;
}

function Folded(/** @type {FoldedProps} */ { status, total, onFold }) {
  return html`<section class="column folded" data-testid=${`column-${status}`} aria-label=${STATUS_NAMES[status]}>
    <button type="button" class="unfold" onClick=${onFold} aria-expanded="false"
        aria-label=${`Show ${STATUS_NAMES[status]}, ${total} tasks`}>
      <${StatusIcon} status=${status} />
      <span class="folded-name">${STATUS_NAMES[status]}</span>
      <span class="count">${count(total)}</span>
    </button>
  </section>`;
}

export const Column = memo((/** @type {ColumnProps} */ { status, tasks, several, folded, current, onFold }) => {
  const [over, drop] = useDrop(status);
  const writer = useStore((now) => canWrite(now.session));
  if (folded) {
    return html`<div class="column-drop" ...${drop}>
      <${Folded} status=${status} total=${tasks.length} onFold=${() => onFold(status)} />
    </div>`;
  }
  return html`<section class=${cx("column", over && "over", current && "current")} data-testid=${`column-${status}`}
      data-status=${status} aria-label=${STATUS_NAMES[status]} ...${drop}>
    <header class="column-head">
      <span class="column-mark">
        <${StatusIcon} status=${status} />
        ${writer && html`<${SelectColumn} status=${status} tasks=${tasks} />`}
      </span>
      <h2>${STATUS_NAMES[status]}</h2>
      <span class="count" data-testid="count">${count(tasks.length)}</span>
      <span class="push"></span>
      ${writer
        && NEW_IN.has(status)
        && html`<button type="button" class="quiet icon-button" aria-label=${`New task in ${STATUS_NAMES[status]}`}
            onClick=${() => openDialog("task", { status })}><${Icon} name="plus" /></button>`}
      <button type="button" class="quiet icon-button fold" aria-label=${`Fold ${STATUS_NAMES[status]}`}
          aria-expanded="true" onClick=${() => onFold(status)}><${Icon} name="collapse" /></button>
    </header>
    <${Cards} status=${status} tasks=${tasks} several=${several} writer=${writer} />
  </section>`;
});
