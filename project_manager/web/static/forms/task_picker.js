// Choosing other tasks, by number or by words.
import { html, useId, useMemo, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { state } from "../state/store.js";
import { Icon, StatusIcon } from "../ui/icons.js";

const OFFERED = 8;

/** @param {string} text @param {number} project @param {number[]} chosen @param {number | undefined} self */
function matching(text, project, chosen, self) {
  const sought = text.trim().toLowerCase().replace(/^#/, "");
  if (!sought) return [];
  const found = [];
  for (const task of state.tasks.values()) {
    const fits = task.id !== self
      && !chosen.includes(task.id)
      && task.project_id === project
      && (String(task.id) === sought || task.name.toLowerCase().includes(sought));
    if (fits) found.push(task);
    if (found.length === OFFERED) break;
  }
  return found;
}

function Chosen(/** @type {{ id: number, onRemove: () => void }} */ { id, onRemove }) {
  const task = state.tasks.get(id);
  return html`<li class="chosen">
    ${task && html`<${StatusIcon} status=${task.status} />`}
    <span class="key">#${id}</span>
    <span class="clip" dir="auto">${task?.name}</span>
    <button type="button" class="quiet icon-button" aria-label=${`Remove #${id}`} onClick=${onRemove}>
      <${Icon} name="close" />
    </button>
  </li>`;
}

/** A combobox (WAI-ARIA: list autocomplete with manual selection) that collects task ids. */
export function TaskPicker(/** @type {TaskPickerProps} */ { label, value, onChange, error, project, self }) {
  const id = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => matching(text, project, value, self), [text, project, value]);
  const add = (/** @type {Task} */ task) => {
    onChange([...value, task.id]);
    setText("");
    setAt(0);
  };
  const step = (/** @type {number} */ by) => setAt((at + by + found.length) % Math.max(1, found.length));
  /** @type {Record<string, false | (() => unknown)>} */
  const keys = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => found[at] && add(found[at]),
    Escape: text !== "" && (() => setText("")),
    Backspace: text === "" && value.length > 0 && (() => onChange(value.slice(0, -1))),
  };
  const onKeyDown = onKeys((event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    act();
    if (event.key !== "Backspace") event.preventDefault();
    event.stopPropagation();
  });
  return html`<div class="field picker ${error ? "invalid" : ""}">
    <label for=${id}>${label}</label>
    ${value.length > 0 && html`<ul class="chosen-list">
      ${value.map((task) => html`<${Chosen} key=${task} id=${task}
          onRemove=${() => onChange(value.filter((other) => other !== task))} />`)}
    </ul>`}
    <input id=${id} role="combobox" aria-autocomplete="list" aria-expanded=${found.length > 0}
        aria-controls=${`${id}-list`} aria-activedescendant=${found[at] ? `${id}-${found[at].id}` : undefined}
      aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? `${id}-error` : undefined}
        autocomplete="off" dir="auto" placeholder="Number or words of a task" value=${text}
        onInput=${(event) => { setText(event.target.value); setAt(0); }} onKeyDown=${onKeyDown} />
    <ul id=${`${id}-list`} role="listbox" aria-label="Matching tasks" class="options" hidden=${found.length === 0}>
      ${found.map((task, index) => html`<li key=${task.id} id=${`${id}-${task.id}`} role="option"
          aria-selected=${index === at} onMouseDown=${(event) => { event.preventDefault(); add(task); }}>
        <${StatusIcon} status=${task.status} />
        <span class="key">#${task.id}</span>
        <span class="clip" dir="auto">${task.name}</span>
      </li>`)}
    </ul>
    ${error && html`<p class="field-error" id=${`${id}-error`}><${Icon} name="warn" />${error}</p>`}
  </div>`;
}
