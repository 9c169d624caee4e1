// The form that sends a message, and the buttons that open it.
import { html, useEffect, useState } from "../../core/html.js";
import { canWrite, isOperator } from "../../core/vocabulary.js";
import { openDialog, closeDialog } from "../../state/dialogs.js";
import { acknowledgeMessage, readNewestMessages, sendMessage } from "../../state/messages.js";
import { useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { Field, FormError, FormFoot, useForm } from "../../forms/field.js";
import { Dialog } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";
import { Message } from "../../ui/message.js";

const SHOWN = 10;
/** @type {Choice[]} */
const KINDS = [["note", "Note: read with the next call"], ["steer", "Steer: must be acknowledged"]];
/** @type {Choice} */
const STOP = ["stop", "Stop: end the lease, block the task"];

/** The dialog that sends a message. Only operators stop, and a project cannot be stopped. */
export function MessageForm(/** @type {MessageFormProps} */ { id, target, title }) {
  const operator = useStore((state) => isOperator(state.session));
  const { values, dirty, error, busy, field, submit } = useForm({ kind: "steer", body: "" });
  const onSubmit = submit(async ({ kind, body }) => {
    await sendMessage(target, kind, body);
    closeDialog(id);
  });
  const kinds = operator && !target.to_project ? [...KINDS, STOP] : KINDS;
  return html`<${Dialog} id=${id} title=${title} dirty=${dirty}>
    ${(/** @type {() => void} */ close) => html`<form onSubmit=${onSubmit}>
      <div class="dialog-body">
        <${Field} label="Message" kind="textarea" rows="4" autofocus maxlength="4000" ...${field("body")}
            hint="It comes with the next response to the agent." data-testid="message-body" />
        <${Field} label="Kind" kind="select" options=${kinds} ...${field("kind")} data-testid="message-kind" />
        <${FormError} error=${error} shown=${["body", "kind"]} />
      </div>
      <${FormFoot} onCancel=${close} busy=${busy} confirm=${values.kind === "stop" ? "Stop" : "Send"} />
    </form>`}
  <//>`;
}

/** The button that writes to an agent, to the holder of a task, or to a project. */
export function MessageButton(/** @type {{ target: MessageTarget, name: string }} */ { target, name }) {
  const writer = useStore((state) => canWrite(state.session));
  if (!writer) return null;
  const open = () => openDialog("message", { target, title: `Message to ${name}` });
  return html`<button type="button" class="small" onClick=${open} aria-label=${`Message to ${name}`}
      data-testid="write-message"><${Icon} name="log" />Message</button>`;
}

/** The messages that need a person, at the top of "Needs you". */
export function WaitingMessages() {
  const messages = useStore((state) => state.messages);
  const writer = useStore((state) => canWrite(state.session));
  if (messages.length === 0) return null;
  return html`<section class="need-group" aria-labelledby="need-messages" data-testid="need-messages">
    <h2 id="need-messages">Messages<span class="count">${messages.length}</span></h2>
    <p class="muted">To you, or not acknowledged by their agents.</p>
    <ul class="messages">
      ${messages.map((message) => html`<${Message} key=${message.id} message=${message}>
        ${writer && html`<button type="button" class="small" onClick=${() => acknowledgeMessage(message.id)}
            aria-label=${`Close message ${message.id}`} data-testid="close-message">Close</button>`}
      <//>`)}
    </ul>
  </section>`;
}

/** The newest messages with their receipts, on the page of the agents. */
export function RecentMessages() {
  const revision = useStore((state) => state.messageRevision);
  const [messages, setMessages] = useState(/** @type {MessageView[]} */ ([]));
  useEffect(() => {
    readNewestMessages().then((page) => setMessages(page.items.slice(0, SHOWN))).catch(showError);
  }, [revision]);
  if (messages.length === 0) return null;
  return html`<section class="need-group" aria-labelledby="recent-messages" data-testid="recent-messages">
    <h2 id="recent-messages">Messages</h2>
    <ul class="messages">${messages.map((message) => html`<${Message} key=${message.id} message=${message} />`)}</ul>
  </section>`;
}
