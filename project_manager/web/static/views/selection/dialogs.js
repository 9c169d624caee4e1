// The question before many tasks change, and the list of tasks that did not take the change.
import { count, plural } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { isOperator } from "../../core/vocabulary.js";
import { closeDialog } from "../../state/dialogs.js";
import { useStore } from "../../state/store.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";
import { Field, FormFoot } from "../../forms/field.js";

const NAMED = 5;

/** The choice about tasks with a lease. Only operators may end the leases of others. */
function Held(/** @type {{ held: Task[], force: boolean, onChange: (force: boolean) => void }} */ props) {
  const { held, force, onChange } = props;
  const operator = useStore((state) => isOperator(state.session));
  const choice = (/** @type {boolean} */ value, /** @type {string} */ words) => html`<label class="check">
    <input type="radio" name="held" checked=${force === value} onChange=${() => onChange(value)} />${words}
  </label>`;
  const holders = held.slice(0, NAMED).map((task) => html`<li key=${task.id}>
    <span class="key">#${task.id}</span> <bdi>${task.lock?.holder}</bdi>
  </li>`);
  return html`<fieldset class="held-choice" data-testid="held-choice">
    <legend><${Icon} name="lock" />${plural(held.length, "task is", "tasks are")} held by agents</legend>
    <ul class="held-tasks">
      ${holders}
      ${held.length > NAMED && html`<li class="muted">and ${count(held.length - NAMED)} more</li>`}
    </ul>
    ${operator
      ? html`${choice(false, held.length === 1 ? "Leave it as it is" : "Leave them as they are")}
        ${choice(true, held.length === 1 ? "End its lease and change it" : "End their leases and change them")}`
      : html`<p class="muted">They stay as they are.</p>`}
  </fieldset>`;
}

/** The question. It states the number of tasks, and asks for a note where a move of one task does. */
export function EditManyDialog(/** @type {ManyQuestion & { id: number }} */ props) {
  const { id, title, body, held = [], note, confirm, danger, answer } = props;
  const [force, setForce] = useState(false);
  const [text, setText] = useState("");
  const [invalid, setInvalid] = useState(false);
  const send = (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (note?.required && !text.trim()) {
      setInvalid(true);
      return;
    }
    answer?.({ force, note: text.trim() });
    closeDialog(id);
  };
  const write = (/** @type {string} */ value) => {
    setText(value);
    setInvalid(false);
  };
  return html`<${Dialog} id=${id} title=${title} dirty=${text.trim() !== ""} onClose=${() => answer?.(null)}>
    ${(/** @type {() => void} */ close) => html`<form onSubmit=${send} data-testid="edit-many">
      <div class="dialog-body">
        <p>${body}</p>
        ${held.length > 0 && html`<${Held} held=${held} force=${force} onChange=${setForce} />`}
        ${note && html`<${Field} kind="textarea" rows="3" autofocus value=${text} onChange=${write}
            label=${note.required ? note.label : `${note.label} (optional)`}
            error=${invalid ? "Enter what is missing; the next agent reads it." : undefined}
            hint="It is added to the log of each task." data-testid="many-note" />`}
      </div>
      <${FormFoot} onCancel=${close} busy=${false} confirm=${confirm} danger=${danger}
          focused=${!danger && !note} />
    </form>`}
  <//>`;
}

/** The tasks that the server refused, with its reasons. */
export function RefusedDialog(/** @type {{ id: number, refused: RefusedTask[], total: number }} */ props) {
  const { id, refused, total } = props;
  return html`<${Dialog} id=${id} title=${`${plural(total, "task")} refused`}>
    <div class="dialog-body" tabindex="0" data-testid="refused">
      <ul class="refused">
        ${refused.map((task) => html`<li key=${task.id}>
          <p><span class="key">#${task.id}</span> <b dir="auto">${task.name}</b></p>
          <p class="muted" dir="auto">${task.message}</p>
        </li>`)}
      </ul>
      ${total > refused.length && html`<p class="muted">and ${count(total - refused.length)} more</p>`}
    </div>
  <//>`;
}
