// The messages that need a person, at the top of the list. They keep their places as the tasks do.
import { html } from "../../core/html.js";
import { acknowledgeMessage } from "../../state/messages.js";
import { Message } from "../../ui/message.js";
import { RowButton } from "./row.js";

/** @type {Decision} */
const CLOSE = { name: "Close", keys: "a", act: () => undefined };

function Closed() {
  return html`<span class="muted" data-testid="need-outcome">Closed</span>`;
}

/** @param {{ rows: MessageRow[], writer: boolean, onAct: OnAct }} props */
export function WaitingMessages({ rows, writer, onAct }) {
  if (rows.length === 0) return null;
  return html`<section class="need-group" aria-labelledby="need-messages" data-testid="need-messages">
    <h2 id="need-messages">Messages<span class="count">${rows.filter(({ gone }) => !gone).length}</span></h2>
    <p class="muted">To you, or not acknowledged by their agents.</p>
    <ul class="messages">
      ${rows.map(({ key, message, gone }) => html`<${Message} key=${key} message=${message} need=${key} gone=${gone}>
        ${gone && html`<${Closed} />`}
        ${!gone && writer && html`<span class="need-actions" data-testid="close-message">
          <${RowButton} action=${CLOSE} label=${`message ${message.id}`}
              onClick=${(event) => onAct(event, () => acknowledgeMessage(message.id))} />
        </span>`}
      <//>`)}
    </ul>
  </section>`;
}
