// The lease of a locked task: holder, time left and the actions of the user.
import { fullTime, seconds } from "../../core/format.js";
import { html } from "../../core/html.js";
import { kindOf } from "../../state/actors.js";
import { useStore } from "../../state/store.js";
import { extendTask, releaseTask, takeOver } from "../../state/task_leases.js";
import { AgentLink, Avatar, RelativeTime, useLease } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";

const CHOICES = [300, 900, 1800, 3600];

function Extend(/** @type {{ task: Task }} */ { task }) {
  const change = (/** @type {UiEvent} */ event) => {
    const ttl = Number(event.target.value);
    event.target.value = "";
    if (ttl) extendTask(task, ttl);
  };
  return html`<label class="choice">
    <span class="sr">Extend the lease</span>
    <${Icon} name="clock" />
    <select value="" onChange=${change} data-testid="extend">
      <option value="">Extend…</option>
      ${CHOICES.map((ttl) => html`<option key=${ttl} value=${ttl}>${seconds(ttl)} from now</option>`)}
    </select>
  </label>`;
}

function Seen(/** @type {{ id: string }} */ { id }) {
  const agent = useStore((state) => state.agents.get(id));
  return agent ? html`<span>last seen <${RelativeTime} at=${agent.last_seen} /> · </span>` : null;
}

export function Lease(/** @type {{ task: Task, lock: LockView, writer: boolean }} */ { task, lock, writer }) {
  const mine = useStore((state) => state.session?.actor?.id === lock.holder);
  const { tone, left, words } = useLease(lock);
  return html`<section class=${`lease ${tone}`} aria-label="Lease" data-testid="lease">
    <div class="lease-head">
      <${Avatar} id=${lock.holder} kind=${kindOf(lock.holder)} />
      <div class="lease-who">
        <b><${AgentLink} id=${lock.holder} /></b>
        ${mine && " (you)"}
        ${lock.kind === "review" && html` <span data-testid="reviewing">is reviewing</span>`}
        <br />
        <span class="muted">
          since <${RelativeTime} at=${lock.acquired_at} /> · <${Seen} id=${lock.holder} />
          fence ${lock.fence}
        </span>
      </div>
      <output class="lease-left" aria-live="off" title=${`until ${fullTime(lock.expires_at)}`} data-testid="countdown">
        ${words}
      </output>
    </div>
    <progress aria-label="Time left of the lease" max=${lock.ttl_seconds} value=${left / 1000}></progress>
    ${tone === "over" && html`<p class="muted">
      The lease has expired. The server ends it and returns the task.
    </p>`}
    ${writer && html`<div class="row">
      <${Extend} task=${task} />
      ${!mine && html`<button type="button" onClick=${() => takeOver(task)} data-testid="take-over">
        <${Icon} name="hand" />
        Take over
      </button>`}
      <button type="button" onClick=${() => releaseTask(task)} data-testid="release">
        <${Icon} name="out" />
        ${mine ? "Release" : "Force release"}
      </button>
    </div>`}
  </section>`;
}
