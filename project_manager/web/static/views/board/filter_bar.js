// Search and filters. The address has all of their values.
import { bidiIsolate, count, hourAndMinute, plural, weekday } from "../../core/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../../core/html.js";
import { STATUSES } from "../../core/vocabulary.js";
import { READY_NAMES, inUse, visibleColumns } from "../../state/filters.js";
import { epicOptions } from "../../state/options.js";
import { clearFilters, isFiltered, navigate } from "../../state/route.js";
import { state, useStore, useThrottled } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";

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

/** A filter. Its first choice removes the filter. */
export function Choice(/** @type {ChoiceProps} */ { label, name, value, options, any }) {
  const change = (/** @type {UiEvent} */ event) =>
    navigate({ [name]: event.target.value || null, ...(name === "project" ? { epic: null } : {}) });
  const missing = value && !options.some(([option]) => String(option) === String(value));
  return html`<label class="choice ${value ? "active" : ""}"><span class="sr">${label}</span>
    <select value=${value ?? ""} onChange=${change} data-testid=${`filter-${name}`}>
      <option value="">${any}</option>
      ${options.map(([option, text]) => html`<option key=${option} value=${option}>${text}</option>`)}
      ${missing && html`<option value=${value}>${value}</option>`}
    </select></label>`;
}

/** Return the words for the time in which tasks became Done. */
function doneWords(/** @type {string | null} */ since, /** @type {string | null} */ until) {
  const words = (/** @type {string} */ at) => `${weekday(Date.parse(at))}, ${hourAndMinute(Date.parse(at))}`;
  return ["Done", since && `from ${words(since)}`, until && `until ${words(until)}`].filter(Boolean).join(" ");
}

/** A filter of a link, which has no choice of its own in the bar. A press removes it. */
function Chosen(/** @type {{ text: string, names: RouteName[] }} */ { text, names }) {
  return html`<button type="button" class="small" aria-pressed="true" data-testid=${`chosen-${names[0]}`}
      title="Remove this filter" onClick=${() => navigate(Object.fromEntries(names.map((name) => [name, null])))}>
    ${text}<${Icon} name="close" />
  </button>`;
}

function Shown() {
  useStore((now) => now.revision.tasks);
  const columns = visibleColumns(state);
  const shown = STATUSES.reduce((sum, status) => sum + columns[status].length, 0);
  const all = state.tasks.size;
  return html`<span class="shown" data-testid="shown">
    ${shown === all ? plural(all, "task") : `${count(shown)} of ${plural(all, "task")}`}
  </span>`;
}

const revisionOfTasks = (/** @type {State} */ now) => now.revision.tasks;

export function FilterBar() {
  const route = useStore((now) => now.route);
  const revision = useThrottled(revisionOfTasks);
  const plans = useStore((now) => now.revision.plans);
  const { labels, holders } = useMemo(() => inUse(state), [revision, route.project]);
  const epics = useMemo(() => epicOptions(route.project), [plans, route.project]);
  const { completed_since: since, completed_until: until } = route;
  const same = (/** @type {string[]} */ names) => names.map((name) => [name, name]);
  return html`<div class="filterbar" role="search" aria-label="Filters">
    <${Search} value=${route.q} />
    <${Choice} label="Epic" name="epic" value=${route.epic} options=${epics} any="All epics" />
    <${Choice} label="Label" name="label" value=${route.label} options=${same(labels)} any="Any label" />
    <${Choice} label="Holder" name="holder" value=${route.holder} options=${same(holders)} any="Any holder" />
    <${Choice} label="Readiness" name="ready" value=${route.ready} options=${Object.entries(READY_NAMES)}
        any="Ready or not" />
    ${route.worked_by && html`<${Chosen} names=${["worked_by"]}
        text=${`Worked on by ${bidiIsolate(route.worked_by)}`} />`}
    ${(since || until) && html`<${Chosen} names=${["completed_since", "completed_until"]}
        text=${doneWords(since, until)} />`}
    ${isFiltered(route) && html`<button type="button" class="quiet small" onClick=${clearFilters}>
      <${Icon} name="close" />
      Clear
    </button>`}
    <span class="push"></span>
    <${Shown} />
  </div>`;
}
