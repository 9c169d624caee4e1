// The bar of the board and the table: search, filters and saved views. The address has all of their values.
import { count, hourAndMinute, plural, weekday } from "../../core/format.js";
import { html, useEffect, useRef, useState } from "../../core/html.js";
import { CHANGED_NAMES, READY_NAMES, STATUSES } from "../../core/vocabulary.js";
import { visibleColumns } from "../../state/filters.js";
import { clearFilters, isFiltered, navigate } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";
import { Popover } from "../../ui/popover.js";
import { FilterPanel } from "./filter_panel.js";
import { SavedViews } from "./saved_views.js";

const TYPING_MS = 120;

function Search(/** @type {{ value: string | null }} */ { value }) {
  const [text, setText] = useState(value ?? "");
  const timer = useRef(/** @type {Timer} */ (undefined));
  const sent = useRef(value ?? "");
  useEffect(() => {
    if ((value ?? "") !== sent.current) setText(value ?? "");
    sent.current = value ?? "";
  }, [value]);
  const type = (/** @type {UiEvent} */ event) => {
    const next = event.target.value;
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = next.trim();
      navigate({ q: next.trim() || null }, { replace: true });
    }, TYPING_MS);
  };
  return html`<label class="search">
    <${Icon} name="search" />
    <span class="sr">Search tasks</span>
    <input type="search" id="search" dir="auto" placeholder="Search tasks" value=${text} onInput=${type}
        data-testid="search" autocomplete="off" spellcheck=${false} />
    <kbd aria-hidden="true">/</kbd>
  </label>`;
}

/** Return the words for the time in which tasks became Done. */
function doneWords(/** @type {string | null} */ since, /** @type {string | null} */ until) {
  const words = (/** @type {string} */ at) => `${weekday(Date.parse(at))}, ${hourAndMinute(Date.parse(at))}`;
  return [since && `from ${words(since)}`, until && `until ${words(until)}`].filter(Boolean).join(" ");
}

function Shown() {
  useStore((now) => now.revision.tasks);
  useStore((now) => now.route);
  const columns = visibleColumns(state);
  const shown = STATUSES.reduce((sum, status) => sum + columns[status].length, 0);
  const all = state.tasks.size;
  return html`<span class="shown" data-testid="shown">
    ${shown === all ? plural(all, "task") : `${count(shown)} of ${plural(all, "task")}`}
  </span>`;
}

const words = (/** @type {Record<string, string>} */ names, /** @type {string} */ value) => names[value] ?? value;

/** The filters of one value, except the project and the search: their names, and the texts of their values. */
/** @type {[filter: "epic" | keyof RouteChanges, name: string, text: (value: any) => string][]} */
const CHIPS = [
  ["epic", "Epic", (id) => state.epics.get(id)?.name ?? String(id)],
  ["priority", "Priority", (values) => values.map((/** @type {string} */ value) => `P${value}`).join(", ")],
  ["ready", "", (kind) => words(READY_NAMES, kind)],
  ["holder", "Locked by", String],
  ["worked_by", "Worked by", String],
  ["created_by", "Created by", String],
  ["changed", "Changed", (kind) => words(CHANGED_NAMES, kind)],
];

const NO_TIMES = { completed_since: null, completed_until: null };

/** Return the filters in use: the name, the value, and the change of the address that removes it. */
/** @param {Route} route @returns {FilterChip[]} */
function chipsOf(route) {
  const { completed_since: since, completed_until: until } = route;
  const labels = route.label ?? [];
  return [
    ...labels.map((one) => ({ name: "Label", text: one, without: { label: labels.filter((other) => other !== one) } })),
    ...CHIPS.filter(([filter]) => route[filter]).map(([filter, name, text]) =>
      ({ name, text: text(route[filter]), without: { [filter]: null } })),
    ...(since || until ? [{ name: "Done", text: doneWords(since, until), without: NO_TIMES }] : []),
  ];
}

function Chips(/** @type {{ chips: FilterChip[] }} */ { chips }) {
  return html`<ul class="filter-chips" aria-label="Filters in use">
    ${chips.map(({ name, text, without }) => html`<li key=${`${name} ${text}`} class="filter-chip"
        data-testid="filter-chip">
      ${name && html`<span class="muted">${name}</span>`}
      <bdi class="clip">${text}</bdi>
      <button type="button" class="quiet" aria-label=${`Remove the filter ${name} ${text}`}
          onClick=${() => navigate(without)}><${Icon} name="close" /></button>
    </li>`)}
  </ul>`;
}

/** `children` are further controls of the view. */
export function FilterBar(/** @type {{ children?: any }} */ { children }) {
  const route = useStore((now) => now.route);
  useStore((now) => now.revision.plans);
  const chips = chipsOf(route);
  return html`<div class="filterbar" role="search" aria-label="Filters">
    <${Search} value=${route.q} />
    <${Popover} id="filter-panel" icon="filter" name="Filter" label="Filters" active=${chips.length > 0}
        count=${chips.length} testid="filters">${() => html`<${FilterPanel} />`}<//>
    <${SavedViews} />
    ${chips.length > 0 && html`<${Chips} chips=${chips} />`}
    ${isFiltered(route) && html`<button type="button" class="quiet small" onClick=${clearFilters}
        data-testid="clear"><${Icon} name="close" />Clear</button>`}
    <span class="push"></span>
    <${Shown} />
    ${children}
  </div>`;
}
