// The command palette: commands, tasks, projects, epics, agents. Also the picker for "move to" and similar commands.
import { cx, html, useEffect, useMemo, useRef, useState } from "../../core/html.js";
import { keyOf, onKeys } from "../../core/keyboard.js";
import { closeDialog } from "../../state/dialogs.js";
import { inUse } from "../../state/filters.js";
import { navigate } from "../../state/route.js";
import { openView } from "../../state/saved_views.js";
import { state, useThrottled } from "../../state/store.js";
import { knownAgents, loadAgents, pageOf } from "../../state/agents.js";
import { showError } from "../../state/toasts.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon, StatusIcon } from "../../ui/icons.js";
import { VIEWS } from "../views.js";
import { commands } from "./commands.js";

const SHOWN = 40;

/** Return a key that changes when agents, tasks or plans arrive while the palette is open. */
const revision = (/** @type {State} */ now) => `${now.revision.tasks} ${now.revision.plans} ${now.revision.agents}`;

/** Return the score of a text: whole, prefix, word prefix, within; 0 for no match. All words must occur. */
function points(/** @type {string} */ text, /** @type {string[]} */ words) {
  let sum = 1;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    sum += at === 0 ? 8 : /[\s#/_-]/.test(text[at - 1]) ? 5 : 1;
  }
  return sum + Math.max(0, 3 - text.length / 40);
}

/** Return the labels as filters that are added to the present ones. */
function labelEntries() {
  const { view, label: chosen } = state.route;
  const listed = VIEWS[view].filterable ? view : "board";
  return inUse(state).labels.map((label) => ({
    id: `l${label}`,
    icon: "filter",
    name: label,
    kind: "Label",
    run: () => navigate({ view: listed, label: [...(chosen ?? []), label] }),
  }));
}

function places() {
  const go = (/** @type {RouteChanges} */ changes) => () => navigate(changes);
  return [
    ...state.savedViews.map((view) => ({
      id: `v${view.id}`,
      icon: "bookmark",
      name: view.name,
      kind: "View",
      run: () => openView(view),
    })),
    ...labelEntries(),
    ...[...state.projects.values()].map((project) => ({
      id: `p${project.id}`,
      icon: "projects",
      name: project.name,
      kind: "Project",
      run: go({ view: "board", project: project.id, epic: null }),
    })),
    ...[...state.epics.values()].map((epic) => ({
      id: `e${epic.id}`,
      icon: "flag",
      name: epic.name,
      kind: "Epic",
      run: go({ view: "board", project: epic.project_id, epic: epic.id }),
    })),
    ...knownAgents().map((agent) => ({
      id: `a${agent.id}`,
      icon: "agents",
      name: agent.id,
      kind: "Agent",
      run: go(pageOf(agent.id)),
    })),
  ];
}

/** @returns {Entry} */
const taskEntry = (/** @type {Task} */ task) => ({
  id: `t${task.id}`,
  status: task.status,
  name: `#${task.id} ${task.name}`,
  kind: state.projects.get(task.project_id)?.name ?? "",
  run: () => navigate({ task: task.id }),
});

/** @returns {Scored[]} */
function ranked(/** @type {Entry[]} */ entries, /** @type {string[]} */ words) {
  const scored = entries
    .map((entry) => /** @type {Scored} */ ([points(`${entry.name} ${entry.kind ?? ""}`.toLowerCase(), words), entry]))
    .filter(([score]) => score > 0);
  return scored.sort((a, b) => b[0] - a[0]);
}

/** @returns {Entry[]} */
function found(/** @type {string} */ text, /** @type {Partial<PaletteProps>} */ { entries: given, typed }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (given) {
    const matching = given.filter((entry) => points(entry.name.toLowerCase(), words) > 0);
    const isNew = typed && words.length > 0 && !given.some((entry) => entry.name === text.trim());
    return isNew ? [...matching, typed(text.trim())] : matching;
  }
  if (words.length === 0) return commands();
  /** @type {[score: number, task: Task][]} */
  const tasks = [];
  for (const task of state.tasks.values()) {
    const score = points(`#${task.id} ${task.name.toLowerCase()}`, words);
    if (score) tasks.push([`#${task.id}` === words[0] || String(task.id) === words[0] ? 99 : score, task]);
  }
  tasks.sort((a, b) => b[0] - a[0]);
  const best = [
    ...ranked(commands(), words),
    ...ranked(places(), words),
    ...tasks.slice(0, SHOWN).map(([score, task]) => /** @type {Scored} */ ([score, taskEntry(task)])),
  ];
  return best.sort((a, b) => b[0] - a[0]).slice(0, SHOWN).map(([, entry]) => entry);
}

/** Return the index of the preselected entry: the present value, or the first match; -1 if it would close the task. */
function firstOf(/** @type {Entry[]} */ shown, /** @type {boolean} */ typed) {
  if (shown.length === 1) return 0;
  const fits = (/** @type {Entry} */ entry) => (typed ? !entry.closing && !entry.present : entry.present);
  const best = shown.findIndex(fits);
  return best >= 0 ? best : shown.findIndex((entry) => !entry.closing);
}

/** Return the index of the preselected entry. A list with `none` has none before the first letter. */
/** @param {Entry[]} shown @param {boolean} typed @param {boolean} isChoice @param {boolean | undefined} none */
function startOf(shown, typed, isChoice, none) {
  if (!isChoice) return 0;
  return none && !typed ? -1 : firstOf(shown, typed);
}

function Entry(/** @type {EntryProps} */ { entry, active, onChoose }) {
  const element = useRef(null);
  useEffect(() => {
    if (active) element.current.scrollIntoView({ block: "nearest" });
  }, [active]);
  return html`<li ref=${element} id=${`palette-${entry.id}`} role="option" aria-selected=${active}
      class=${cx("entry-line", active && "on")} onClick=${onChoose} data-testid="palette-entry">
    ${entry.status ? html`<${StatusIcon} status=${entry.status} />` : html`<${Icon} name=${entry.icon ?? "arrow"} />`}
    <span class="clip" dir="auto">${entry.name}</span>
    <span class="push"></span>
    ${entry.present && html`<span class="muted kind">now</span>`}
    ${entry.kind && html`<span class="muted clip kind" dir="auto">${entry.kind}</span>`}
    ${entry.keys && html`<kbd>${entry.keys}</kbd>`}
  </li>`;
}

/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/** Return the entry of the shortcut that was pressed. */
function withKey(/** @type {UiEvent} */ event, /** @type {Entry[]} */ entries = []) {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  return entries.find((entry) => entry.keys === keyOf(event));
}

/** The palette. `entries` limits the choice; the default is everything. */
export function Palette(/** @type {PaletteProps} */ props) {
  const { id, title = "Search or do anything", entries, none } = props;
  const [text, setText] = useState("");
  const [moved, setMoved] = useState(/** @type {number | null} */ (null));
  const known = useThrottled(revision);
  useEffect(() => {
    if (!entries) loadAgents().catch((error) => error.status !== 0 && showError(error));
  }, []);
  const shown = useMemo(() => found(text, props), [text, known]);
  const at = moved ?? startOf(shown, text.trim() !== "", entries !== undefined, none);
  const choose = (/** @type {Entry} */ entry) => {
    closeDialog(id);
    if (entry?.run) queueMicrotask(entry.run);
  };
  const onKeyDown = onKeys((event) => {
    const step = STEPS[event.key];
    const typed = text === "" && withKey(event, entries);
    if (step) setMoved((Math.max(at, step < 0 ? 0 : -1) + step + shown.length) % Math.max(1, shown.length));
    else if (typed) choose(typed);
    else if (event.key !== "Enter") return;
    else if (shown[at] || !entries) choose(shown[at]);
    event.preventDefault();
  });
  return html`<${Dialog} id=${id} title=${title} plain>
    <div class="palette" data-testid="palette">
      <div class="palette-input">
        <${Icon} name="search" />
        <input autofocus dir="auto" role="combobox" aria-expanded="true" aria-controls="palette-list"
            aria-autocomplete="list" aria-label=${title} placeholder=${title}
            aria-activedescendant=${shown[at] ? `palette-${shown[at].id}` : undefined}
          value=${text} onInput=${(event) => { setText(event.target.value); setMoved(null); }} onKeyDown=${onKeyDown}
            autocomplete="off" spellcheck=${false} />
      </div>
    <ul id="palette-list" role="listbox" aria-label="Results">
      ${shown.map((entry, index) => html`<${Entry} key=${entry.id} entry=${entry} active=${index === at}
          onChoose=${() => choose(entry)} />`)}
    </ul>
    ${shown.length === 0 && html`<p class="palette-none">Nothing matches. Try fewer letters, or a task's number.</p>`}
    </div>
  <//>`;
}
