// The list of events.
import { plural } from "../../core/format.js";
import { html, useEffect, useMemo, useState } from "../../core/html.js";
import { kindOf } from "../../state/actors.js";
import { loadAgents } from "../../state/agents.js";
import { lineOf, useLogLines } from "../../state/log_lines.js";
import { agentOptions, projectOptions } from "../../state/options.js";
import { navigate } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { loadHistory } from "../../state/sync.js";
import { showError } from "../../state/toasts.js";
import { Actor, Empty, PreciseTime } from "../../ui/chips.js";
import { Choice } from "../../ui/choice.js";
import { EventRow, subjectOf } from "../../ui/event_row.js";
import { Icon } from "../../ui/icons.js";
import { PlainWithLinks } from "../../ui/markdown.js";
import { KINDS, chosen, rowsOf, summaryOf } from "./groups.js";

const PHRASES_SHOWN = 4;
const TYPING_MS = 250;

/** One row for many events of an agent in a minute. A press shows each of them. */
function Many(/** @type {{ events: OutboxEvent[] }} */ { events }) {
  const [open, setOpen] = useState(false);
  const [newest] = events;
  const id = subjectOf(newest);
  const phrases = summaryOf(events);
  const more = phrases.length - PHRASES_SHOWN;
  const line = events.map(lineOf).find(Boolean);
  return html`<li class="event many" data-testid="events-of-minute">
    <span class="event-mark" aria-hidden="true"></span>
    <div class="event-text">
      <p>
        <${Actor} id=${id} kind=${id === newest.actor.id ? newest.actor.kind : kindOf(id)} />${" "}
        <span>${phrases.slice(0, PHRASES_SHOWN).join(", ")}${more > 0 && `, and ${more} more`}</span>
      </p>
      ${line && html`<p class="event-line" dir="auto"><${PlainWithLinks} text=${line} /></p>`}
      <button type="button" class="quiet small" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        ${open ? "Hide" : "Show"} ${plural(events.length, "event")}
      </button>
      ${open && html`<ol class="events">
        ${events.map((event) => html`<${EventRow} key=${event.seq} event=${event} />`)}
      </ol>`}
    </div>
    <span class="muted event-time"><${PreciseTime} at=${newest.timestamp} /></span>
  </li>`;
}

/** The field for words. The address follows when the typing pauses. */
function Words(/** @type {{ value: string | null }} */ { value }) {
  const [text, setText] = useState(value ?? "");
  useEffect(() => setText(value ?? ""), [value]);
  useEffect(() => {
    if (text === (value ?? "")) return undefined;
    const timer = setTimeout(() => navigate({ text: text || null }, { replace: true }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="search">
    <span class="sr">Search in the events</span>
    <${Icon} name="search" />
    <input type="search" dir="auto" placeholder="Search events" value=${text} data-testid="activity-text"
        onInput=${(event) => setText(event.target.value)} />
  </label>`;
}

/** Return the agents, the people and the authors of the known events, as options. */
function subjects(/** @type {string | null} */ present) {
  const people = [...state.agents.values()].filter(({ kind }) => kind === "human").map(({ id }) => id);
  return agentOptions([...people, ...state.events.map(subjectOf), ...(present ? [present] : [])]);
}

export function Activity() {
  const revision = useStore((now) => now.revision.events);
  const { project, agent, kind: wanted, text } = useStore((now) => now.route);
  const known = useStore((now) => now.revision.plans + now.revision.agents);
  const [frozen, setFrozen] = useState(0);
  useEffect(() => {
    loadHistory().catch(showError);
    loadAgents().catch(showError);
  }, []);
  const kind = KINDS.some(([value]) => value === wanted) ? wanted : null;
  // With words, the lines of all known log entries matter, else those of the shown ones.
  const [read, setRead] = useState(/** @type {OutboxEvent[]} */ ([]));
  const lines = useLogLines(read);
  const events = useMemo(
    () => chosen({ kind, project, agent, text }, frozen),
    [revision, kind, project, agent, text, frozen, lines],
  );
  useEffect(() => setRead(text ? [...state.events] : events), [events, text]);
  // "Every event" has a row for each.
  const rows = useMemo(() => (kind === "all" ? events.map((event) => [event]) : rowsOf(events)), [events, kind]);
  const agents = useMemo(() => subjects(agent), [known, agent, state.events.length > 0]);
  const waiting = frozen ? state.seq - frozen : 0;
  return html`<section class="page" aria-labelledby="page-title">
    <div class="page-head activity-head">
      <h1 id="page-title">Activity</h1>
      <span class="push"></span>
      <${Words} value=${text} />
      <${Choice} label="Agent" name="agent" value=${agent} options=${agents} any="All agents" />
      <${Choice} label="Project" name="project" value=${project} options=${projectOptions()} any="All projects" />
      <label class="choice">
        <span class="sr">Kind of event</span>
        <select value=${kind ?? ""} onChange=${(event) => navigate({ kind: event.target.value || null })}>
          ${KINDS.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
        </select>
      </label>
      <button type="button" aria-pressed=${Boolean(frozen)} onClick=${() => setFrozen(frozen ? 0 : state.seq)}>
        ${frozen ? `Resume (${waiting} new)` : "Pause"}
      </button>
    </div>
    ${rows.length
      ? html`<ol class="events" data-testid="activity">
        ${rows.map((row) => (row.length > 1
          ? html`<${Many} key=${`${subjectOf(row[0])} ${row[row.length - 1].seq}`} events=${row} />`
          : html`<${EventRow} key=${row[0].seq} event=${row[0]} />`))}
      </ol>`
      : html`<${Empty} title=${agent || text || kind ? "No such events" : "No events yet"}>
        <p><${Icon} name="activity" /> Events appear here as they happen.</p>
      <//>`}
  </section>`;
}
