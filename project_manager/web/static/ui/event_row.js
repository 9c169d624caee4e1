// One event as a sentence.
import { fieldValue } from "../core/due.js";
import { bidiIsolate, momentOr } from "../core/format.js";
import { html, useState } from "../core/html.js";
import { STATUS_NAMES } from "../core/vocabulary.js";
import { kindOf } from "../state/actors.js";
import { lineOf } from "../state/log_lines.js";
import { Actor, PreciseTime, TaskLink } from "./chips.js";
import { Icon } from "./icons.js";
import { PlainWithLinks } from "./markdown.js";

// The other fields are the payload. `task` is the task as it was then, which the board shows as it is now.
const ENVELOPE = new Set(["seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id", "task"]);
const CHANGES = new Set(["changes", "previous"]);
/** @type {Record<string, string>} */
const NOTES = {
  comment: "commented on",
  progress: "reported progress on",
  handoff: "left a handoff note on",
  evidence: "added evidence to",
  question: "asked about",
  answer: "answered a question about",
  system: "made a note on",
};
/** @type {Record<string, [before: string, after: string]>} */
const UNLOCKED = {
  explicit_release: ["released", ""],
  auto_release: ["released", ""],
  lock_expired: ["lost", "because the lease expired"],
  unconfirmed: ["lost", "because no call confirmed the lease"],
  deleted: ["lost", "because it was deleted"],
  stopped: ["lost", "because an operator stopped the work"],
};

/** The system itself forces the end of leases only after a backup was restored. */
const forcedReason = (/** @type {Actor} */ actor) =>
  (actor.kind === "system" ? "because the database was restored" : `because ${bidiIsolate(actor.id)} ended the lease`);

/** @type {Record<string, string>} */
const VERDICTS = { validated: "validated", rejected: "rejected", partial: "validated in part" };

/** Only operators receive the token of an event. */
function tokenOf(/** @type {OutboxEvent} */ { token }) {
  if (!token) return "a token";
  const bound = token.agent_id ? ` bound to ${bidiIsolate(token.agent_id)}` : "";
  return `the token ${bidiIsolate(token.name)} (${token.role}${bound})`;
}

/** Return the target of a pause. A task follows as a link. */
function targetOf(/** @type {OutboxEvent} */ event) {
  if (event.scope === "agent") return `the agent ${bidiIsolate(event.agent_id)}`;
  return { all: "all work", project: "the project", task: "" }[/** @type {string} */ (event.scope)] ?? "";
}
/** Return the addressee of a message. A task follows as a link. */
function addresseeOf(/** @type {OutboxEvent} */ event) {
  if (event.agent_id) return bidiIsolate(event.agent_id);
  return event.task_id ? "the holder of" : "the agents of a project";
}
const reasonOf = (/** @type {OutboxEvent} */ { reason }) => reason && `(${reason})`;
const missingIn = (/** @type {OutboxEvent} */ { missing = [] }) =>
  (missing.length ? `(missing: ${missing.join("; ")})` : "");
const statusName = (/** @type {Status} */ status) => STATUS_NAMES[status];
const changed = (/** @type {OutboxEvent} */ event) => Object.keys(event.changes ?? {}).join(", ");
/** Return the sentence about a named resource. */
const named = (/** @type {string} */ words) =>
  (/** @type {OutboxEvent} */ event) => [`${words} ${bidiIsolate(event.name ?? event.title)}`, ""];

/** @type {Record<string, (event: OutboxEvent) => string[]>} The words before and after the task. */
const SENTENCES = {
  "project.created": named("created the project"),
  "project.updated": named("updated the project"),
  "project.archived": named("archived the project"),
  "project.deleted": named("deleted the project"),
  "epic.created": named("created the epic"),
  "epic.updated": named("updated the epic"),
  "epic.deleted": named("deleted the epic"),
  "task.created": () => ["created", ""],
  "task.updated": (event) => ["changed", changed(event) && `(${changed(event)})`],
  "task.status_changed": ({ status }) => ["moved", `to ${statusName(status) ?? status}`],
  "task.locked": (event) => (event.renewed ? ["changed the lease of", ""] : ["claimed", ""]),
  "task.unlocked": (event) =>
    (event.reason === "forced" ? ["lost", forcedReason(event.actor)] : UNLOCKED[event.reason] ?? ["released", ""]),
  "task.deleted": () => ["deleted", ""],
  "task.logged": (event) => [NOTES[event.kind] ?? "wrote on", ""],
  "task.ready": () => ["", "is ready now"],
  "task.not_ready": () => ["", "is no longer ready"],
  "task.submitted": ({ round }) => ["submitted", `for review (round ${round})`],
  "task.reviewed": (event) => [event.verdict === "approved" ? "approved" : "requested changes to", missingIn(event)],
  "task.offered": (event) => ["offered", `to ${bidiIsolate(event.agent_id)}`],
  "task.offer_ended": (event) => ["ended the offer of", `to ${bidiIsolate(event.agent_id)}`],
  "task.question_asked": () => ["asked a question about", ""],
  "task.question_answered": () => ["answered a question about", ""],
  "task.question_closed": () => ["closed a question about", ""],
  "knowledge.created": named("created the knowledge item"),
  "knowledge.updated": named("updated the knowledge item"),
  "knowledge.logged": named("added a log entry to the knowledge item"),
  "assumption.recorded": () => ["recorded an assumption about", ""],
  "assumption.validated": ({ verdict }) => [`${VERDICTS[verdict] ?? verdict} an assumption about`, ""],
  "message.sent": (event) => [`sent a ${event.kind} to ${addresseeOf(event)}`, ""],
  "message.delivered": ({ sender, kind }) => [`got a ${kind} from ${bidiIsolate(sender)}`, ""],
  "message.acknowledged": ({ sender, kind }) => [`acknowledged a ${kind} from ${bidiIsolate(sender)}`, ""],
  "message.expired": (event) => [`found a ${event.kind} to ${addresseeOf(event)} expired`, ""],
  "pause.started": (event) => [`paused ${targetOf(event)}`, reasonOf(event)],
  "pause.ended": (event) => [`resumed ${targetOf(event)}`, ""],
  "view.saved": named("saved the view"),
  "view.deleted": named("deleted the saved view"),
  "import.finished": () => ["imported a plan", ""],
  "database.restored": () => ["restored the database to an earlier state", ""],
  "token.created": (event) => [`created ${tokenOf(event)}`, ""],
  "token.revoked": (event) => [`revoked ${tokenOf(event)}`, ""],
  "tokens.cleared": () => ["cleared all tokens", ""],
};

/** A newer release may write unknown types. */
const sentence = (/** @type {OutboxEvent} */ event) =>
  SENTENCES[event.type]?.(event) ?? [`caused ${event.type}${event.task_id ? " of" : ""}`, ""];

/** @type {Record<string, string>} */
const TONES = { "task.deleted": "bad", "task.ready": "good", "task.locked": "work" };

function toneOf(/** @type {OutboxEvent} */ event) {
  if (["lock_expired", "unconfirmed", "forced", "stopped"].includes(event.reason)) return "bad";
  if (event.type === "task.status_changed") return event.status === "DONE" ? "good" : `to-${event.status}`;
  return TONES[event.type] ?? "";
}

/** The task is the subject of these sentences. */
const TASK_FIRST = new Set(["task.ready", "task.not_ready"]);

const AUTHORED = new Set(["task.logged", "task.submitted"]);

/** Return the id of the subject of the sentence: lease holder, author or reviewer, else the actor. */
export function subjectOf(/** @type {OutboxEvent} */ event) {
  const lease = event.type === "task.unlocked" || event.type === "task.locked";
  const author = AUTHORED.has(event.type) ? event.author : event.reviewer;
  return (lease ? event.agent_id : author) ?? event.actor.id;
}

/** Return the sentence about the event as text, without its subject. */
export function phraseOf(/** @type {OutboxEvent} */ event) {
  const [before, after] = sentence(event);
  return [before, event.task_id && `#${event.task_id}`, after].filter(Boolean).join(" ");
}

function Subject(/** @type {{ event: OutboxEvent }} */ { event }) {
  if (TASK_FIRST.has(event.type)) return null;
  const id = subjectOf(event);
  const kind = id === event.actor.id ? event.actor.kind : event.kind === "system" ? "system" : kindOf(id);
  return html`<${Actor} id=${id} kind=${kind} /> `;
}

const shown = (/** @type {any} */ value) =>
  (typeof value === "object" && value !== null
    ? JSON.stringify(value, (_, part) => momentOr(part))
    : String(momentOr(value) ?? "nothing"));

/** Return changed fields as "before → after", then the other fields of the event. */
function fieldsOf(/** @type {OutboxEvent} */ event) {
  const changes = Object.entries(event.changes ?? {}).map(([name, value]) => [
    name,
    `${shown(fieldValue(name, event.previous?.[name]))} → ${shown(fieldValue(name, value))}`,
  ]);
  const isField = (/** @type {[string, unknown]} */ [name, value]) =>
    !ENVELOPE.has(name) && !CHANGES.has(name) && value !== null;
  const rest = Object.entries(event).filter(isField);
  return [...changes, ...rest.map(([name, value]) => [name, shown(fieldValue(name, value))])];
}

function Fields(/** @type {{ event: OutboxEvent }} */ { event }) {
  return html`<dl class="event-fields">
    <div><dt>event</dt><dd>${event.seq}, ${event.type}, by <bdi>${event.actor.id}</bdi></dd></div>
    ${fieldsOf(event).map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${text}</dd></div>`)}
  </dl>`;
}

/** The row of an event. `within` is the task of the history, which needs no link to itself. */
export function EventRow(/** @type {{ event: OutboxEvent, within?: number }} */ { event, within }) {
  const [open, setOpen] = useState(false);
  const [before, after] = sentence(event);
  const line = lineOf(event);
  const about = event.task_id && event.task_id !== within
    ? html`<${TaskLink} id=${event.task_id} name=${event.name} bare />`
    : event.task_id && (TASK_FIRST.has(event.type) ? "It" : "it");
  return html`<li class=${`event ${toneOf(event)}`} data-testid="event">
    <span class="event-mark" aria-hidden="true"></span>
    <div class="event-text">
      <p>
        <${Subject} event=${event} />
        ${before && html`<span>${before}</span>`}
        ${about}
        ${after && html`<span>${after}</span>`}
      </p>
      ${line && html`<p class="event-line" dir="auto" data-testid="event-line">
        <${PlainWithLinks} text=${line} />
      </p>`}
      ${open && html`<${Fields} event=${event} />`}
    </div>
    <span class="muted event-time"><${PreciseTime} at=${event.timestamp} /></span>
    <button type="button" class="quiet icon-button" aria-label="Fields of this event" aria-expanded=${open}
        onClick=${() => setOpen(!open)}><${Icon} name="more" /></button>
  </li>`;
}

/** Return whether an adjacent event has the same information. */
/** @param {OutboxEvent} event @param {OutboxEvent | undefined} before @param {OutboxEvent | undefined} after */
export function isRedundant(event, before, after) {
  const same = (/** @type {OutboxEvent | undefined} */ other, /** @type {string} */ type) =>
    other?.type === type && other.task_id === event.task_id && Math.abs(other.seq - event.seq) === 1;
  if (event.type === "task.status_changed") {
    const given = same(after, "task.unlocked") && after?.reason !== "auto_release";
    const submitted = event.status === "REVIEW" && same(after, "task.submitted");
    return given || submitted || (event.status === "IN_PROGRESS" && same(before, "task.locked"));
  }
  if (event.type === "task.unlocked") return event.reason === "auto_release" && same(before, "task.status_changed");
  return event.type === "task.logged" && event.kind === "system";
}
