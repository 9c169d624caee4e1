// The form that sends a message, and the buttons that open it.
import { html, useEffect, useRef, useState } from "../../core/html.js";
import { LIMITS } from "../../core/limits.js";
import { canWrite, isOperator } from "../../core/vocabulary.js";
import { openDialog, closeDialog } from "../../state/dialogs.js";
import { readNewestMessages, sendMessage } from "../../state/messages.js";
import { useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { recordFinal } from "../../state/undo.js";
import { Field, FormError, FormFoot, useForm } from "../../forms/field.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";
import { Message } from "../../ui/message.js";

const SHOWN = 10;
/** @type {Choice[]} */
const KINDS = [["note", "Note: read with the next call"], ["steer", "Steer: must be acknowledged"]];
/** @type {Choice} */
const STOP = ["stop", "Stop: end the lease, block the task"];

/** The dialog that sends a message. Only operators stop, and a project cannot be stopped. `kind` leaves no choice. */
export function MessageForm(/** @type {MessageFormProps} */ { id, target, title, kind: only }) {
  const operator = useStore((state) => isOperator(state.session));
  const { values, dirty, error, busy, field, submit } = useForm({ kind: only ?? "steer", body: "" });
  const onSubmit = submit(async ({ kind, body }) => {
    await sendMessage(target, kind, body);
    recordFinal(kind === "stop" ? "Stopped an agent" : "Sent a message", "Send another message instead.");
    closeDialog(id);
  });
  const kinds = (operator && !target.to_project ? [...KINDS, STOP] : KINDS).filter(([kind]) => !only || kind === only);
  return html`<${Dialog} id=${id} title=${title} dirty=${dirty}>
    ${(/** @type {() => void} */ close) => html`<form onSubmit=${onSubmit}>
      <div class="dialog-body">
        <${Field} label="Message" kind="textarea" rows="4" autofocus
            maxlength=${LIMITS.MESSAGE_CHARACTERS} ...${field("body")}
            hint="It comes with the next response to the agent." data-testid="message-body" />
        <${Field} label="Kind" kind="select" options=${kinds} ...${field("kind")} data-testid="message-kind" />
        <${FormError} error=${error} shown=${["body", "kind"]} />
      </div>
      <${FormFoot} onCancel=${close} busy=${busy} confirm=${values.kind === "stop" ? "Stop" : "Send"} />
    </form>`}
  <//>`;
}

/** The box that writes a note or a steer to an agent or a person, where it is shown. */
export function MessageBox(/** @type {MessageBoxProps} */ { target, name, autofocus = false, onClose }) {
  const operator = useStore((state) => isOperator(state.session));
  const writer = useStore((state) => canWrite(state.session));
  const [kind, setKind] = useState("steer");
  const [body, setBody] = useState("");
  const [busy, setBusy] = useState(false);
  const text = useRef(null);
  useEffect(() => {
    if (autofocus) text.current?.focus(); // the attribute works only while a page loads
  }, []);
  if (!writer) return null;
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!body.trim() || busy) return;
    setBusy(true);
    try {
      await sendMessage(target, kind, body);
      setBody("");
      onClose?.();
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return html`<form class="message-box" onSubmit=${send} data-testid="message-box">
    <label>
      <span class="sr">Message to <bdi>${name}</bdi></span>
      <textarea rows="2" dir="auto" maxlength=${LIMITS.MESSAGE_CHARACTERS}
          placeholder="It comes with the next response to the agent." value=${body} ref=${text}
          onInput=${(event) => setBody(event.target.value)} data-testid="message-body"></textarea>
    </label>
    <div class="row">
      <label class="choice">
        <span class="sr">Kind</span>
        <select value=${kind} onChange=${(event) => setKind(event.target.value)} data-testid="message-kind">
          ${(operator ? [...KINDS, STOP] : KINDS).map(([value, words]) => html`<option key=${value} value=${value}>
            ${words}
          </option>`)}
        </select>
      </label>
      <span class="push"></span>
      ${onClose && html`<button type="button" class="small quiet" onClick=${onClose}>Cancel</button>`}
      <button type="submit" class=${kind === "stop" ? "small danger" : "small primary"} disabled=${busy || !body.trim()}
          data-testid="save">${kind === "stop" ? "Stop" : "Send"}</button>
    </div>
  </form>`;
}

/** The button that writes to an agent, to the holder of a task, or to a project. */
export function MessageButton(/** @type {{ target: MessageTarget, name: string }} */ { target, name }) {
  const writer = useStore((state) => canWrite(state.session));
  if (!writer) return null;
  const open = () => openDialog("message", { target, title: `Message to ${name}` });
  return html`<button type="button" class="small" onClick=${open} aria-label=${`Message to ${name}`}
      data-testid="write-message"><${Icon} name="log" />Message</button>`;
}

/** Return the newest messages, of one agent or of all, read again after each event of a message. */
function useNewestMessages(/** @type {string | undefined} */ participant = undefined) {
  const revision = useStore((state) => state.messageRevision);
  const [messages, setMessages] = useState(/** @type {MessageView[]} */ ([]));
  useEffect(() => {
    let current = true;
    readNewestMessages(participant).then((page) => current && setMessages(page.items.slice(0, SHOWN)))
      .catch((error) => current && error.status !== 0 && showError(error));
    return () => {
      current = false;
    };
  }, [revision, participant]);
  return messages;
}

/** The newest messages from and to an agent with their receipts, on its page. */
export function MessagesWith(/** @type {{ id: string }} */ { id }) {
  const messages = useNewestMessages(id);
  if (messages.length === 0) return html`<p class="muted">No messages yet.</p>`;
  return html`<ul class="messages" data-testid="agent-messages">
    ${messages.map((message) => html`<${Message} key=${message.id} message=${message} />`)}
  </ul>`;
}

/** The newest messages with their receipts, on the page of the agents. */
export function RecentMessages() {
  const messages = useNewestMessages();
  if (messages.length === 0) return null;
  return html`<section class="need-group" aria-labelledby="recent-messages" data-testid="recent-messages">
    <h2 id="recent-messages">Messages</h2>
    <ul class="messages">${messages.map((message) => html`<${Message} key=${message.id} message=${message} />`)}</ul>
  </section>`;
}
