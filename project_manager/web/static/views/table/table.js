// The table: one row for each task, with sorting, groups and movement by keyboard.
import { useMinute } from "../../core/clock.js";
import { plural } from "../../core/format.js";
import {
  cx, focusedElement, html, useCallback, useLayoutEffect, useMemo, useRef, useState,
} from "../../core/html.js";
import { loadSetting, saveSetting } from "../../core/local_storage.js";
import { canWrite } from "../../core/vocabulary.js";
import { keyOfFilters } from "../../state/filters.js";
import { navigate } from "../../state/route.js";
import { isSelecting, selectRange, selectedIds } from "../../state/selection.js";
import { dispatchNow, state, useStore } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";
import { Spacer, useTopForFilters } from "../board/column.js";
import { NoTasks } from "../board/no_tasks.js";
import { useVirtual } from "../board/virtual_list.js";
import { TableTask } from "./row.js";
import { COLUMNS, GROUPINGS, nextSort, rowsOf } from "./rows.js";

/** The height of a row in the size of the root font: in one line, and in two on a narrow screen. */
const ROW_REM = 2.25;
const NARROW_ROW_REM = 3.5;
const NARROW = matchMedia("(max-width: 720px)");

const rootSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

/** The rows of the mounted table, and the function that shows and focuses one of them. */
let shown = { rows: /** @type {TableRow[]} */ ([]), focus: (/** @type {number} */ index) => void index };

const focusedRow = () => Number(focusedElement()?.closest("[data-row]")?.getAttribute("data-row"));

/** Return the index of the row with the focus, or of the task of the cursor; -1 without one. */
function presentIndex() {
  const focused = focusedRow();
  const found = focused ? shown.rows.findIndex((row) => row.id === focused) : -1;
  return found >= 0 ? found : shown.rows.findIndex((row) => row.id === state.cursor);
}

/** Move to the next row in a direction, and return its index. */
function step(/** @type {number} */ rows) {
  const index = presentIndex();
  const next = index < 0 ? 0 : Math.max(0, Math.min(shown.rows.length - 1, index + rows));
  shown.focus(next);
  return next;
}

export const moveInTable = (/** @type {number} */ rows) => void step(rows);

export const moveRowToEnd = (/** @type {boolean} */ last) => shown.focus(last ? shown.rows.length - 1 : 0);

const taskIds = () => shown.rows.flatMap((row) => row.task?.id ?? []);

/** Move by one row and select the tasks between the start and it. */
export function extendRows(/** @type {number} */ rows) {
  const from = shown.rows[presentIndex()]?.task?.id;
  const to = shown.rows[step(rows)]?.task?.id;
  if (from && to) selectRange(taskIds(), to, from);
}

/** @param {Ref} scroller @param {TableRow[]} rows @param {Float64Array} sums */
function useRowFocus(scroller, rows, sums) {
  const wanted = useRef(/** @type {number | null} */ (null));
  const [, again] = useState(0);
  const take = () => {
    const index = wanted.current;
    if (index === null || !rows[index]) return;
    const row = scroller.current.querySelector(`[data-row="${rows[index].id}"]`);
    if (!row) {
      scroller.current.scrollTop = Math.max(0, sums[index] - scroller.current.clientHeight / 3);
      return;
    }
    wanted.current = null;
    row.querySelector("[data-focus]").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  useLayoutEffect(() => {
    shown = {
      rows,
      focus: (index) => {
        wanted.current = index;
        again((number) => number + 1);
      },
    };
    take();
  });
}

function Head(/** @type {{ sort: string | null, selects: boolean }} */ { sort, selects }) {
  const [column, descending] = [sort?.replace(/^-/, ""), sort?.startsWith("-")];
  return html`<div class="table-head table-line" role="row" aria-rowindex="1">
    ${selects && html`<span role="columnheader" class="cell cell-select"><span class="sr">Selected</span></span>`}
    ${COLUMNS.map(({ id, title }) => html`<span key=${id} role="columnheader" class=${`cell cell-${id}`}
        aria-sort=${id === column ? (descending ? "descending" : "ascending") : "none"}>
      <button type="button" class="quiet" onClick=${() => navigate({ sort: nextSort(sort, id) }, { replace: true })}
          data-testid=${`sort-${id}`}>
        ${title}
        ${id === column && html`<${Icon} name=${descending ? "down" : "up"} />`}
      </button>
    </span>`)}
  </div>`;
}

function GroupHead(/** @type {{ row: TableRow, index: number, columns: number, onFold: () => void }} */ props) {
  const { row, index, columns, onFold } = props;
  return html`<div class="table-group" role="row" aria-rowindex=${index + 2} data-row=${row.id}
      data-testid="table-group">
    <span role="gridcell" aria-colspan=${columns}>
      <button type="button" class=${cx("quiet", row.folded && "folded")} aria-expanded=${!row.folded} onClick=${onFold}
          data-focus><${Icon} name="chevron" /><bdi class="clip">${row.name}</bdi>
        <span class="count">${plural(row.count ?? 0, "task")}</span>
      </button>
    </span>
  </div>`;
}

/** The choices of the groups and, on a narrow screen without a head, of the order. */
export function TableOrder() {
  const route = useStore((now) => now.route);
  const choose = (/** @type {"group" | "sort"} */ name) => (/** @type {UiEvent} */ event) =>
    navigate({ [name]: event.target.value || null }, { replace: true });
  return html`<label class=${cx("choice", route.group && "active")}><span class="sr">Group by</span>
      <select value=${route.group ?? ""} onChange=${choose("group")} data-testid="group">
        <option value="">No groups</option>
        ${Object.entries(GROUPINGS).map(([id, { title }]) => html`<option key=${id} value=${id}>By ${
          title.toLowerCase()}</option>`)}
      </select>
    </label>
    <label class=${cx("choice table-sort", route.sort && "active")}><span class="sr">Sort by</span>
      <select value=${route.sort ?? ""} onChange=${choose("sort")} data-testid="sort">
        <option value="">Board order</option>
        ${COLUMNS.map(({ id, title }) => html`<option key=${id} value=${id}>${title}, up</option>
          <option key=${`-${id}`} value=${`-${id}`}>${title}, down</option>`)}
      </select>
    </label>`;
}

function useFolded() {
  const [folded, setFolded] = useState(() => new Set(/** @type {string[]} */ (loadSetting("folded-groups", []))));
  const fold = useCallback((/** @type {string} */ key) => setFolded((old) => {
    const next = new Set(old);
    if (!next.delete(key)) next.add(key);
    saveSetting("folded-groups", [...next].slice(-200));
    return next;
  }), []);
  return /** @type {[Set<string>, (key: string) => void]} */ ([folded, fold]);
}

/** The task with a field for its name in its row. The panel of an open task has its own field. */
const renamedRow = (/** @type {State} */ now) => (now.route.task === now.renaming ? null : now.renaming);

function Rows(/** @type {{ rows: TableRow[], onFold: (key: string) => void }} */ { rows, onFold }) {
  const scroller = useRef(null);
  const list = useRef(null);
  const { sort, group, task: opened, project } = useStore((now) => now.route);
  const cursor = useStore((now) => now.cursor);
  const selected = useStore(selectedIds);
  const selects = useStore((now) => canWrite(now.session));
  const renaming = useStore(renamedRow);
  const estimate = (NARROW.matches ? NARROW_ROW_REM : ROW_REM) * rootSize();
  const { start, end, before, after, sums } = useVirtual(scroller, list, rows, estimate);
  useTopForFilters(scroller);
  useRowFocus(scroller, rows, sums);
  const visible = rows.slice(start, end);
  const stop = visible.find((row) => row.task?.id === cursor)?.id ?? visible.find((row) => row.task)?.id;
  const columns = COLUMNS.length + Number(selects);
  const classes = cx("table", project !== null && "of-project", selects && "selects");
  return html`<div class=${classes} role="grid" aria-label="Tasks" aria-rowcount=${rows.length + 1}
      aria-multiselectable="true" ref=${scroller} data-testid="table">
    <${Head} sort=${sort} selects=${selects} />
    <div role="rowgroup" ref=${list}>
      <${Spacer} height=${before} />
      ${visible.map((row, place) => (row.task
        ? html`<${TableTask} key=${row.id} id=${row.id} task=${row.task} index=${start + place}
            project=${state.projects.get(row.task.project_id)?.name ?? ""}
            epic=${state.epics.get(row.task.epic_id ?? 0)?.name ?? ""} focusable=${row.id === stop}
            open=${row.task.id === opened} pending=${state.pending.has(row.task.id)}
            selected=${selected.has(row.task.id)} selects=${selects} renaming=${row.task.id === renaming}
            order=${taskIds} />`
        : html`<${GroupHead} key=${`${group} ${row.key}`} row=${row} index=${start + place} columns=${columns}
            onFold=${() => onFold(`${group}:${row.key}`)} />`))}
      <${Spacer} height=${after} />
    </div>
  </div>`;
}

export function Table() {
  const tasks = useStore((now) => now.revision.tasks);
  const plans = useStore((now) => now.revision.plans);
  const route = useStore((now) => now.route);
  const selecting = useStore(isSelecting);
  useMinute();
  const [folded, onFold] = useFolded();
  const key = keyOfFilters(route);
  const rows = useMemo(() => rowsOf(state, folded), [tasks, plans, key, route.sort, route.group, folded]);
  if (rows.length === 0) return html`<${NoTasks} />`;
  const onFocus = (/** @type {UiEvent} */ event) => {
    const id = Number(event.target.closest?.("[data-task]")?.dataset.task);
    if (id && id !== state.cursor) dispatchNow({ type: "cursor", id });
  };
  return html`<div class=${cx("table-view", selecting && "selecting")} onFocusIn=${onFocus}>
    <${Rows} rows=${rows} onFold=${onFold} />
  </div>`;
}
