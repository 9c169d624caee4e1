// The filters of the board and the table, except the search.
import { html, useMemo, useState } from "../../core/html.js";
import { CHANGED_NAMES, PRIORITY_NAMES, READY_NAMES } from "../../core/vocabulary.js";
import { inUse } from "../../state/filters.js";
import { epicOptions } from "../../state/options.js";
import { clearFilters, isFiltered, navigate } from "../../state/route.js";
import { state, useStore, useThrottled } from "../../state/store.js";
import { Priority } from "../../ui/chips.js";

const DATE = /^\d{4}-\d\d-\d\d$/;
const OTHER = "date";

const revisionOfTasks = (/** @type {State} */ now) => now.revision.tasks;
const same = (/** @type {string[]} */ names) => names.map((name) => [name, name]);

/** A filter of one value. Its first choice removes the filter. */
function Choose(/** @type {ChoiceProps} */ { label, name, value, options, any }) {
  const change = (/** @type {UiEvent} */ event) => navigate({ [name]: event.target.value || null });
  const missing = value && !options.some(([option]) => String(option) === String(value));
  return html`<label class="filter-field">
    <span>${label}</span>
    <select value=${value ?? ""} onChange=${change} data-testid=${`filter-${name}`}>
      <option value="">${any}</option>
      ${options.map(([option, text]) => html`<option key=${option} value=${option}>${text}</option>`)}
      ${missing && html`<option value=${value}>${value}</option>`}
    </select>
  </label>`;
}

/** A choice that adds a label. The bar shows the chosen labels, each with a button that removes it. */
function Labels(/** @type {{ chosen: string[], labels: string[] }} */ { chosen, labels }) {
  const add = (/** @type {UiEvent} */ event) => {
    const label = event.target.value;
    event.target.value = "";
    if (label) navigate({ label: [...chosen, label] });
  };
  const rest = labels.filter((label) => !chosen.includes(label));
  return html`<label class="filter-field">
    <span>Label</span>
    <select value="" onChange=${add} data-testid="filter-label">
      <option value="">${chosen.length ? "And another label" : "Any label"}</option>
      ${rest.map((label) => html`<option key=${label} value=${label}>${label}</option>`)}
    </select>
  </label>`;
}

function Priorities(/** @type {{ chosen: string[] }} */ { chosen }) {
  const toggle = (/** @type {string} */ value) => {
    const next = chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value].sort();
    navigate({ priority: next.length ? next : null });
  };
  return html`<div class="filter-field" role="group" aria-label="Priority">
    <span>Priority</span>
    <span class="filter-priorities">
      ${PRIORITY_NAMES.map((name, value) => html`<button key=${name} type="button" class="small" title=${name}
          aria-pressed=${chosen.includes(String(value))} onClick=${() => toggle(String(value))}
          data-testid=${`filter-p${value}`}><${Priority} value=${value} /></button>`)}
    </span>
  </div>`;
}

function Changed(/** @type {{ value: string | null }} */ { value }) {
  const isDate = value !== null && DATE.test(value);
  const [dated, setDated] = useState(isDate);
  const change = (/** @type {UiEvent} */ event) => {
    setDated(event.target.value === OTHER);
    if (event.target.value !== OTHER) navigate({ changed: event.target.value || null });
  };
  const setDate = (/** @type {UiEvent} */ event) => navigate({ changed: event.target.value || null });
  return html`<label class="filter-field">
      <span>Changed</span>
      <select value=${dated ? OTHER : value ?? ""} onChange=${change} data-testid="filter-changed">
        <option value="">Any time</option>
        ${Object.entries(CHANGED_NAMES).map(([kind, name]) => html`<option key=${kind} value=${kind}>${name}</option>`)}
        <option value=${OTHER}>Since a date…</option>
      </select>
    </label>
    ${dated && html`<label class="filter-field">
      <span>Since</span>
      <input type="date" value=${isDate ? value : ""} onChange=${setDate} data-testid="filter-since" />
    </label>`}`;
}

export function FilterPanel() {
  const route = useStore((now) => now.route);
  const revision = useThrottled(revisionOfTasks);
  const plans = useStore((now) => now.revision.plans);
  const { labels, holders, workers, authors } = useMemo(() => inUse(state), [revision, route.project]);
  const epics = useMemo(() => epicOptions(route.project), [plans, route.project]);
  return html`<div class="filter-panel">
    <${Choose} label="Epic" name="epic" value=${route.epic} options=${epics} any="All epics" />
    <${Labels} chosen=${route.label ?? []} labels=${labels} />
    <${Priorities} chosen=${route.priority ?? []} />
    <${Choose} label="Readiness" name="ready" value=${route.ready} options=${Object.entries(READY_NAMES)}
        any="Ready or not" />
    <${Choose} label="Locked by" name="holder" value=${route.holder} options=${same(holders)} any="Any holder" />
    <${Choose} label="Worked by" name="worked_by" value=${route.worked_by} options=${same(workers)} any="Any agent" />
    <${Choose} label="Created by" name="created_by" value=${route.created_by} options=${same(authors)}
        any="Any author" />
    <${Changed} value=${route.changed} />
    <button type="button" class="small" disabled=${!isFiltered(route)} onClick=${clearFilters}>
      Clear all filters
    </button>
  </div>`;
}
