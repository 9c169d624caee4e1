// The difference that an import makes: by project and epic, with the names and the old and new values.
import { count } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { foldChanges } from "../../state/plans.js";

const ROWS = 100;
const GROUPS = 50;
const OPEN_ROWS = 30;

/** @type {Record<string, [mark: string, word: string]>} */
const MARKS = {
  created: ["+", "new"],
  changed: ["~", "changed"],
  deleted: ["−", "deleted"],
  unchanged: ["=", "left alone"],
};

export function Counts(/** @type {{ counts: ChangeCounts }} */ { counts }) {
  const shown = /** @type {(keyof ChangeCounts)[]} */ (Object.keys(MARKS)).filter((name) => counts[name]);
  return html`<span class="change-counts">
    ${shown.map((name) => html`<span key=${name} class=${`change-count ${name}`}>
      ${count(counts[name])} ${MARKS[name][1]}
    </span> `)}
  </span>`;
}

function Values(/** @type {{ change: PlanChange }} */ { change }) {
  const shown = new Set(change.values.map(({ field }) => field));
  const rest = change.fields.filter((field) => !shown.has(field));
  if (change.fields.length === 0) return null;
  return html`<dl class="change-values">
    ${change.values.map(({ field, old, new: next }) => html`<div key=${field}>
      <dt>${field}</dt>
      <dd>
        ${old ? html`<del dir="auto">${old}</del>` : html`<span class="muted">empty</span>`}
        <span aria-hidden="true"> → </span><span class="sr"> becomes </span>
        ${next ? html`<ins dir="auto">${next}</ins>` : html`<span class="muted">empty</span>`}
      </dd>
    </div>`)}
    ${rest.map((field) => html`<div key=${field}><dt>${field}</dt><dd class="muted">changes</dd></div>`)}
  </dl>`;
}

/** The name of an item without those of its project and epic. */
function ownName(/** @type {PlanChange} */ { name, project, epic }) {
  const path = [project, epic].filter((part) => part !== null).map((part) => `${part} / `).join("");
  return name.startsWith(path) ? name.slice(path.length) : name;
}

function ChangeRow(/** @type {{ change: PlanChange }} */ { change }) {
  const [mark, word] = MARKS[change.change];
  return html`<li class=${`change ${change.change}`} data-testid="change">
    <p>
      <span class="change-mark" aria-hidden="true">${mark}</span><span class="sr">${word}: </span>
      <span dir="auto">${ownName(change)}</span>
      ${change.kind !== "task" && html` <span class="tag">${change.kind}</span>`}
    </p>
    <${Values} change=${change} />
  </li>`;
}

const More = (/** @type {{ number: number, noun: string }} */ { number, noun }) =>
  number > 0 && html`<p class="muted change-more">and ${count(number)} more ${noun}</p>`;

function Group(/** @type {{ group: ChangeGroup, level: number, open: boolean }} */ { group, level, open: atFirst }) {
  const [open, setOpen] = useState(atFirst);
  const { own, rows, groups, counts } = group;
  const inner = [...groups.values()].filter(({ counts: { created, changed, deleted } }) => created + changed + deleted);
  const isQuiet = counts.created + counts.changed + counts.deleted === 0;
  const head = html`<bdi class="change-name">${group.name}</bdi>
    ${own?.change === "created" && html`<span class="tag">new ${own.kind}</span>`}
    ${own?.change === "deleted" && html`<span class="tag">deleted</span>`}
    <${Counts} counts=${counts} />`;
  if (isQuiet) return html`<div class=${`change-group level-${level} quiet`}><p>${head}</p></div>`;
  return html`<details class=${`change-group level-${level}`} open=${open} data-testid="change-group"
      onToggle=${(/** @type {UiEvent} */ event) => setOpen(event.currentTarget.open)}>
    <summary>${head}</summary>
    ${open && html`<div class="change-inside">
      ${own?.change === "changed" && html`<${Values} change=${own} />`}
      ${inner.slice(0, GROUPS).map((epic) => html`<${Group} key=${epic.name} group=${epic} level=${level + 1}
          open=${atFirst && counts.created + counts.changed + counts.deleted <= OPEN_ROWS} />`)}
      <${More} number=${inner.length - GROUPS} noun="epics" />
      <ul>${rows.slice(0, ROWS).map((change) => html`<${ChangeRow} key=${change.name} change=${change} />`)}</ul>
      <${More} number=${rows.length - ROWS} noun="items" />
    </div>`}
  </details>`;
}

export function Changes(/** @type {{ view: ImportResult }} */ { view }) {
  const groups = foldChanges(view.changes);
  return html`<div class="plan-changes" data-testid="changes">
    ${groups.slice(0, GROUPS).map((group) => html`<${Group} key=${group.name} group=${group} level=${0}
        open=${groups.length <= 3} />`)}
    <${More} number=${groups.length - GROUPS} noun="projects" />
  </div>`;
}
