// One status of the board: header, drop target and a virtual list of cards.
import { moveTask } from "../core/actions.js";
import { openDialog } from "../core/ask.js";
import { count } from "../core/format.js";
import { cx, html, memo, useLayoutEffect, useRef, useState } from "../core/html.js";
import { FILTERS } from "../core/route.js";
import { state, useStore } from "../core/store.js";
import { STATUS_NAMES, allowedTransitions, canWrite } from "../core/vocabulary.js";
import { Icon, StatusIcon } from "../ui/icons.js";
import { Card, draggedTask, epicShown, projectShown } from "./card.js";
import { useVirtual } from "./virtual.js";

const GUESS = 92;
const NEW_IN = new Set(["BACKLOG", "TODO"]);

let wanted = null;

/** Focus the card of a task; with `status`, as soon as it is in that column. */
export function focusCard(id, status = null) {
  wanted = { id, status };
}

const hasFocus = (id) => document.activeElement?.dataset.task === String(id);

/** Retry in the next frames, because the page takes no focus while a dialog closes. */
function takeFocus(id, frames = 30) {
  document.querySelector(`[data-task="${id}"]`)?.focus({ preventScroll: true });
  if (hasFocus(id)) keepFocus(id);
  else if (frames > 0) requestAnimationFrame(() => takeFocus(id, frames - 1));
}

/** Focus the card of a task, again in the next frames until the board has rendered. */
export function returnFocus(id) {
  document.querySelector(`[data-task="${id}"]`)?.focus({ preventScroll: true });
  requestAnimationFrame(() => keepFocus(id));
}

/** Restore the focus of a card whose element was replaced after its move. */
function keepFocus(id, frames = 60) {
  if (document.activeElement === document.body) {
    document.querySelector(`[data-task="${id}"]`)?.focus({ preventScroll: true });
  } else if (!hasFocus(id)) {
    return;
  }
  if (frames > 0) requestAnimationFrame(() => keepFocus(id, frames - 1));
}

function Spacer({ height }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    element.current.style.blockSize = `${height}px`;
  }, [height]);
  return html`<div ref=${element} class="spacer" role="presentation"></div>`;
}

function useWantedFocus(scroller, status, tasks, sums) {
  useLayoutEffect(() => {
    const here = wanted !== null && (wanted.status === null || wanted.status === status);
    const index = here ? tasks.findIndex((task) => task.id === wanted.id) : -1;
    if (index < 0) return;
    const element = scroller.current.querySelector(`[data-task="${wanted.id}"]`);
    if (element) {
      takeFocus(wanted.id);
      wanted = null;
      element.scrollIntoView({ block: "nearest" });
    } else scroller.current.scrollTop = Math.max(0, sums[index] - scroller.current.clientHeight / 3);
  });
}

/** Scroll to the top when the filters change. */
function useTopForFilters(scroller) {
  const filters = useStore((now) => FILTERS.map((name) => now.route[name] ?? "").join("\n"));
  const before = useRef(filters);
  useLayoutEffect(() => {
    if (before.current === filters) return;
    before.current = filters;
    scroller.current.scrollTop = 0;
  }, [filters]);
}

function useDrop(status) {
  const [over, setOver] = useState(false);
  const accepts = (event) => {
    const task = draggedTask();
    return event.dataTransfer.types.includes("application/x-task")
      && canWrite(state.session)
      && task
      && allowedTransitions(task.status).includes(status);
  };
  return [over, {
    onDragOver: (event) => {
      if (!accepts(event)) return;
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: (event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false),
    onDrop: (event) => {
      setOver(false);
      if (!accepts(event)) return;
      event.preventDefault();
      moveTask(draggedTask(), status);
    },
  }];
}

function Cards({ status, tasks, several }) {
  const scroller = useRef(null);
  const list = useRef(null);
  const cursor = useStore((now) => now.cursor);
  const opened = useStore((now) => now.route.task);
  useStore((now) => now.revision.plans);
  const { start, end, before, after, sums } = useVirtual(scroller, list, tasks, GUESS);
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
            focusable=${task.id === stop} open=${task.id === opened} pending=${state.pending.has(task.id)} />
      </div>`)}
      <${Spacer} height=${after} />
    </div>
    ${tasks.length === 0 && html`<p class="column-empty">Nothing here</p>`}
  </div>`;
}

function Folded({ status, total, onFold }) {
  return html`<section class="column folded" data-testid=${`column-${status}`} aria-label=${STATUS_NAMES[status]}>
    <button type="button" class="unfold" onClick=${onFold} aria-expanded="false"
        aria-label=${`Show ${STATUS_NAMES[status]}, ${total} tasks`}>
      <${StatusIcon} status=${status} />
      <span class="folded-name">${STATUS_NAMES[status]}</span>
      <span class="count">${count(total)}</span>
    </button>
  </section>`;
}

export const Column = memo(function Column({ status, tasks, several, folded, current, onFold }) {
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
      <${StatusIcon} status=${status} />
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
    <${Cards} status=${status} tasks=${tasks} several=${several} />
  </section>`;
});
