// Small components shared by cards, drawer and lists.
import { serverNow, useNow } from "../core/clock.js";
import {
  bidiIsolate, countdown, fullTime, hueOf, huesOf, initials, relative, relativeSeconds,
} from "../core/format.js";
import { cx, html } from "../core/html.js";
import { PRIORITY_NAMES, STATUS_NAMES, reasonsOf, shortReason } from "../core/vocabulary.js";
import { pageOf } from "../state/agents.js";
import { follow, hrefOf } from "../state/route.js";
import { useStore } from "../state/store.js";
import { Icon, StatusIcon } from "./icons.js";

export function Priority(/** @type {{ value: number, named?: boolean }} */ { value, named = false }) {
  const bars = [
    0, 1, 2,
  ].map((bar) => html`<rect x=${2 + bar * 4.5} y=${9 - bar * 3} width="3" height=${5 + bar * 3} rx="1"
      class=${bar < 4 - Math.max(1, value) ? "on" : "off"} />`);
  const mark = html`<rect class="on" x="1.5" y="1.5" width="13" height="13" rx="3" />
    <path class="cut" d="M8 4.5v4.2M8 11.2v.1" />`;
  return html`<span class=${`priority p${value}`} title=${`Priority ${value}: ${PRIORITY_NAMES[value]}`}>
    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">${value === 0 ? mark : bars}</svg>
    <span class="sr">Priority </span>${named ? `P${value} ${PRIORITY_NAMES[value]}` : `P${value}`}
  </span>`;
}

export function Status(/** @type {{ status: Status }} */ { status }) {
  return html`<span class="status"><${StatusIcon} status=${status} />${STATUS_NAMES[status]}</span>`;
}

export function Avatar(/** @type {{ id: string, kind?: string }} */ { id, kind = "agent" }) {
  const [hue, tone] = huesOf(id);
  return html`<span class=${cx("avatar", `hue-${hue}`, `tone-${tone}`, kind)} aria-hidden="true">
    ${initials(id)}
  </span>`;
}

/** The name of an agent as a link to its page. */
export function AgentLink(/** @type {{ id: string }} */ { id }) {
  const changes = pageOf(id);
  return html`<a class="agent-link" href=${hrefOf(changes)} onClick=${(event) => follow(event, changes)}
      data-testid="agent-link"><bdi>${id}</bdi></a>`;
}

export const Label = (/** @type {{ name: string }} */ { name }) => html`<span class="label" title=${name}>
  <i class=${`dot hue-${hueOf(name)}`} aria-hidden="true"></i>
  <span class="clip" dir="auto">${name}</span>
</span>`;

/** Return the tone of a lease: "ok", "low" under a fifth of its time, or "over" after its end. */
function leaseTone(/** @type {LockView} */ lock, /** @type {number} */ now) {
  const left = Date.parse(lock.expires_at) - now;
  if (left <= 0) return "over";
  return left < lock.ttl_seconds * 200 ? "low" : "ok";
}

/** Return the time left of a lease and its tone. On a stale page both are unknown. */
export function useLease(/** @type {LockView} */ lock) {
  const now = useNow();
  const stale = useStore((state) => state.connection.status === "stale");
  if (stale) return { tone: "unknown", left: 0, words: "unknown" };
  // The page clock lags by up to half a second. Without this, a new lease would show more than its full time.
  const left = Math.min(
    lock.ttl_seconds * 1000,
    Math.max(0, Date.parse(lock.expires_at) - Math.max(now, serverNow() - 500))
  );
  const tone = leaseTone(lock, now);
  return { tone, left, words: tone === "over" ? "expired" : countdown(left) };
}

export function LockChip(/** @type {{ lock: LockView, bar?: boolean }} */ { lock, bar = true }) {
  const { tone, left, words } = useLease(lock);
  const reviewing = lock.kind === "review";
  const verb = reviewing ? "Reviewed" : "Locked";
  return html`<span class=${`lock-chip ${tone}`}
      title=${`${verb} by ${bidiIsolate(lock.holder)} until ${fullTime(lock.expires_at)}`}>
    <${Avatar} id=${lock.holder} />
    <span class="sr">${verb} by </span><span class="holder"><bdi>${lock.holder}</bdi>${reviewing && " reviewing"}</span>
    <span class="left"><span class="sr">, time left </span>${words}</span>
    ${bar && html`<progress aria-hidden="true" max=${lock.ttl_seconds} value=${left / 1000}></progress>`}
  </span>`;
}

/** "Ready", or the first blocker. Submitted work waits only for its review: blockers concern new work. */
export function ReadyChip(/** @type {{ task: Task }} */ { task }) {
  if (task.status === "REVIEW" || (task.status === "BLOCKED" && task.attempts)) return null;
  if (task.ready) return html`<span class="ready-chip yes"><${Icon} name="check" />Ready</span>`;
  const reasons = reasonsOf(task);
  if (task.status === "IN_PROGRESS" && !task.lock) {
    return html`<span class="ready-chip warn"><${Icon} name="warn" />No holder</span>`;
  }
  if (reasons.length === 0) return null;
  const more = reasons.length > 1 ? ` +${reasons.length - 1}` : "";
  return html`<span class="ready-chip no" title=${reasons.join("; ")}>
    <${Icon} name="clock" />
    <span class="reason">${shortReason(reasons[0])}</span>
    ${more}
  </span>`;
}

export function RelativeTime(/** @type {{ at: string | null, prefix?: string }} */ { at, prefix = "" }) {
  const now = useNow(15);
  if (!at) return null;
  return html`<time datetime=${at} title=${fullTime(at)}>
    ${prefix}
    ${relative(at, Math.max(now, serverNow() - 1000))}
  </time>`;
}

/** A relative time with seconds under a minute: "12 s ago". */
export function PreciseTime(/** @type {{ at: string }} */ { at }) {
  const isYoung = serverNow() - Date.parse(at) < 75_000;
  const now = useNow(isYoung ? 1 : 15);
  return html`<time datetime=${at} title=${fullTime(at)}>
    ${relativeSeconds(at, Math.max(now, serverNow() - 1000))}
  </time>`;
}

/** A link to a task by its id, with its name and status if known. */
export function TaskLink(/** @type {TaskLinkProps} */ { id, name, status, short = false, bare = false }) {
  const known = useStore((state) => state.tasks.get(id));
  const title = name ?? known?.name;
  const state = bare ? null : status ?? known?.status;
  return html`<a class="task-link" href=${hrefOf({ task: id })} onClick=${(event) => follow(event, { task: id })}>
    ${state && html`<${StatusIcon} status=${state} /><span class="sr">${STATUS_NAMES[state]}: </span>`}
    <span class="key">#${id}</span>
    ${!short && title && html`<span class="clip" dir="auto">${title}</span>`}
  </a>`;
}

export function Actor(/** @type {{ id: string, kind: string }} */ { id, kind }) {
  const icon = kind === "human" ? "human" : kind === "system" ? "system" : "agents";
  const name = kind === "agent" ? html`<${AgentLink} id=${id} />` : html`<bdi>${id}</bdi>`;
  return html`<span class="person"><${Icon} name=${icon} label=${kind} /><b>${name}</b></span>`;
}

export function Empty(/** @type {{ title: string, children?: any }} */ { title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children && html`<div>${children}</div>`}</div>`;
}
