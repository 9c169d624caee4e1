// Choosing other tasks, by number or by words.
import { html, useId, useMemo, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { state } from "../core/store.js";
import { Icon, StatusIcon } from "../ui/icons.js";

const OFFERED = 8;

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

function Chosen({ id, onRemove }) {
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
export function TaskPicker({ label, value, onChange, fault, project, self }) {
  const id = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => matching(text, project, value, self), [text, project, value]);
  const add = (task) => {
    onChange([...value, task.id]);
    setText("");
    setAt(0);
  };
  const onKeyDown = onKeys((event) => {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown") setAt((at + 1) % Math.max(1, found.length));
    else if (event.key === "ArrowUp") setAt((at + found.length - 1) % Math.max(1, found.length));
    else if (event.key === "Enter") found[at] && add(found[at]);
    else if (event.key === "Escape" && text) setText("");
    else if (event.key === "Backspace" && !text && value.length) onChange(value.slice(0, -1));
    else return;
    if (event.key !== "Backspace") event.preventDefault();
    event.stopPropagation();
  });
  return html`<div class="field picker ${fault ? "faulty" : ""}">
    <label for=${id}>${label}</label>
    ${value.length > 0 && html`<ul class="chosen-list">
      ${value.map((task) => html`<${Chosen} key=${task} id=${task}
          onRemove=${() => onChange(value.filter((other) => other !== task))} />`)}
    </ul>`}
    <input id=${id} role="combobox" aria-autocomplete="list" aria-expanded=${found.length > 0}
        aria-controls=${`${id}-list`} aria-activedescendant=${found[at] ? `${id}-${found[at].id}` : undefined}
      aria-invalid=${fault ? "true" : undefined} aria-describedby=${fault ? `${id}-fault` : undefined}
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
    ${fault && html`<p class="fault" id=${`${id}-fault`}><${Icon} name="warn" />${fault}</p>`}
  </div>`;
}
