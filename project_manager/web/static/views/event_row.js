// One event as a sentence.
import { html, useState } from "../core/html.js";
import { state } from "../core/store.js";
import { STATUS_NAMES } from "../core/words.js";
import { Ago, Person, TaskLink } from "../ui/chips.js";
import { Icon } from "../ui/icons.js";

const REASONS = {
  explicit_release: "gave it back",
  auto_release: "is finished with it",
  lock_expired: "lost it: the lease ran out",
  forced: "lost it: a person ended the lease",
  deleted: "lost it: the task was deleted",
};
const ENVELOPE = new Set(["seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id"]);

const nameOf = (map, id) => map.get(id)?.name ?? `#${id}`;
const statusName = (status) => STATUS_NAMES[status] ?? status;

const SENTENCES = {
  "task.created": () => "created",
  "task.updated": (event) => `changed${event.changes ? ` ${Object.keys(event.changes).join(", ")} of` : ""}`,
  "task.status_changed": (event) => `moved to ${statusName(event.status)}`,
  "task.locked": (event) => (event.renewed ? "extended the lease of" : "took"),
  "task.unlocked": (event) => `${REASONS[event.reason] ?? "let go"}:`,
  "task.deleted": () => "deleted",
  "task.logged": (event) => `logged ${event.kind ?? "a note"} on`,
  "task.ready": () => "became ready:",
  "import.finished": () => "imported a plan",
};

function sentence(event) {
  const known = SENTENCES[event.type];
  if (known) return known(event);
  const [kind, verb] = event.type.split(".");
  const name = kind === "project" ? nameOf(state.projects, event.project_id) : nameOf(state.epics, event.epic_id);
  return `${verb} ${kind} ${event.name ?? name}`;
}

const TONES = { "task.deleted": "bad", "task.ready": "good", "task.locked": "work" };

function toneOf(event) {
  if (event.reason === "lock_expired" || event.reason === "forced") return "bad";
  if (event.type === "task.status_changed") return event.status === "DONE" ? "good" : `to-${event.status}`;
  return TONES[event.type] ?? "";
}

/** For what follows by itself the subject is the task, not the one whose doing it followed from. */
function Subject({ event }) {
  if (event.type === "task.ready") return null;
  const id = event.type === "task.unlocked" || event.type === "task.locked" ? event.agent_id ?? event.actor.id : event.actor.id;
  return html`<${Person} id=${id} kind=${id === event.actor.id ? event.actor.kind : "agent"} /> `;
}

function Fields({ event }) {
  const fields = Object.entries(event).filter(([name, value]) => !ENVELOPE.has(name) && value !== null);
  return html`<dl class="event-fields"><div><dt>event</dt><dd>${event.seq}, ${event.type}</dd></div>
    ${fields.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${typeof value === "object" ? JSON.stringify(value) : String(value)}</dd></div>`)}</dl>`;
}

export function EventRow({ event, within }) {
  const [open, setOpen] = useState(false);
  return html`<li class=${`event ${toneOf(event)}`} data-testid="event">
    <span class="event-mark" aria-hidden="true"></span>
    <div class="event-text"><p><${Subject} event=${event} />${sentence(event)} ${event.task_id && event.task_id !== within ? html`<${TaskLink} id=${event.task_id} name=${event.name} />` : null}</p>
      ${open && html`<${Fields} event=${event} />`}</div>
    <span class="muted event-time"><${Ago} at=${event.timestamp} /></span>
    <button type="button" class="quiet icon-button" aria-label="Fields of this event" aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name="more" /></button>
  </li>`;
}
