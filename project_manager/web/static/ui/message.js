// One message with its receipts, as in the list of messages and in "Needs you".
import { cx, html } from "../core/html.js";
import { kindOf } from "../state/actors.js";
import { addresseeOf } from "../state/messages.js";
import { Actor, PreciseTime, RelativeTime, TaskLink } from "./chips.js";

/** @type {Record<string, string>} */
const STATES = { sent: "not delivered yet", delivered: "not acknowledged", expired: "expired unread" };

/** "read by codex 12 s ago", or the state if no addressee has acknowledged it. */
function Receipts(/** @type {{ message: MessageView }} */ { message }) {
  const read = message.receipts.filter((receipt) => receipt.acknowledged_at);
  const open = message.receipts.filter((receipt) => !receipt.acknowledged_at);
  if (!read.length && !open.length) return html`<span class="muted">${STATES[message.state] ?? message.state}</span>`;
  return html`<span class="muted" data-testid="receipts">
    ${read.map((receipt) => html`<span key=${receipt.agent_id}>
      read by <bdi>${receipt.agent_id}</bdi> <${PreciseTime} at=${receipt.acknowledged_at} />${" "}
    </span>`)}
    ${open.map((receipt) => html`<span key=${receipt.agent_id}>
      delivered to <bdi>${receipt.agent_id}</bdi> <${PreciseTime} at=${receipt.delivered_at} />${" "}
    </span>`)}
    ${message.state === "expired" && "expired"}
  </span>`;
}

/** @param {{ message: MessageView, need?: string, gone?: boolean, within?: number, children?: any }} props */
export function Message({ message, need, gone = false, within, children }) {
  return html`<li class=${cx("message", gone && "gone")} data-need=${need} data-testid="message">
    <p class="message-head">
      <${Actor} id=${message.sender} kind=${kindOf(message.sender)} />
      <span>to ${message.to_task && message.to_task === within ? "the holder" : addresseeOf(message)}</span>
      ${message.to_task && message.to_task !== within && html`<${TaskLink} id=${message.to_task} bare />`}
      <span class="tag">${message.kind}</span>
      <span class="muted"><${RelativeTime} at=${message.created_at} /></span>
    </p>
    ${message.body !== null && html`<p class="message-body" dir="auto">${message.body}</p>`}
    <p><${Receipts} message=${message} /> ${children}</p>
  </li>`;
}
