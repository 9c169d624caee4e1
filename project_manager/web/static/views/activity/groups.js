// The rows of Activity: events that pass the filters, and one row for an agent's many events of a minute.
import { MINUTE } from "../../core/format.js";
import { lineOf } from "../../state/log_lines.js";
import { state } from "../../state/store.js";
import { isRedundant, phraseOf, subjectOf } from "../../ui/event_row.js";

const SHOWN = 150;
// Fewer events of one agent in a minute have a row each.
const MANY = 5;

/** @type {[kind: string, name: string][]} */
export const KINDS = [
  ["", "Important"],
  ["moves", "Status changes"],
  ["leases", "Leases"],
  ["logs", "Log entries"],
  ["plans", "Plan changes"],
  ["all", "Every event"],
];
/** @type {Record<string, (event: OutboxEvent) => boolean>} */
const TESTS = {
  all: () => true,
  moves: (event) => event.type === "task.status_changed",
  leases: (event) => event.type === "task.locked" || event.type === "task.unlocked",
  logs: (event) => event.type === "task.logged",
  plans: (event) => /created|updated|deleted|archived|import/.test(event.type),
};

/** Return the text of an event in which the filter searches. */
const textOf = (/** @type {OutboxEvent} */ event) =>
  [subjectOf(event), phraseOf(event), event.name, state.tasks.get(event.task_id)?.name, lineOf(event)]
    .filter(Boolean).join(" ").toLowerCase();

/** @typedef {{ kind: string | null, project: number | null, agent: string | null, text: string | null }} Filters */

/** Return the test of the filters besides the kind. */
function testOf(/** @type {Filters} */ { project, agent, text }) {
  const words = (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {((event: OutboxEvent) => boolean)[]} */
  const tests = [];
  if (project) tests.push((event) => event.project_id === project);
  if (agent) tests.push((event) => subjectOf(event) === agent);
  if (words.length) tests.push((event) => words.every((word) => textOf(event).includes(word)));
  return (/** @type {OutboxEvent} */ event) => tests.every((test) => test(event));
}

/** Return the events that pass the filters, newest first. While the list is paused, it ends at event `frozen`. */
export function chosen(/** @type {Filters} */ filters, /** @type {number} */ frozen) {
  const passes = testOf(filters);
  const isOfKind = filters.kind ? TESTS[filters.kind] : null;
  const found = [];
  for (let index = state.events.length - 1; index >= 0 && found.length < SHOWN; index -= 1) {
    const event = state.events[index];
    if (frozen && event.seq > frozen) continue;
    const wanted = isOfKind?.(event) ?? !isRedundant(event, state.events[index - 1], state.events[index + 1]);
    if (wanted && passes(event)) found.push(event);
  }
  return found;
}

/** Return rows of events, newest first: several for MANY events of one agent in a minute, else one. */
export function rowsOf(/** @type {OutboxEvent[]} */ events) {
  /** @type {Map<string, OutboxEvent[]>} */
  const groups = new Map();
  for (const event of events) {
    const key = `${Math.floor(Date.parse(event.timestamp) / MINUTE)} ${subjectOf(event)}`;
    const group = groups.get(key);
    if (group) group.push(event);
    else groups.set(key, [event]);
  }
  return [...groups.values()]
    .flatMap((group) => (group.length >= MANY ? [group] : group.map((event) => [event])))
    .sort((a, b) => b[0].seq - a[0].seq);
}

/** Return the phrases of events with their numbers, the newest first, such as "reported progress on #4 (3 times)". */
export function summaryOf(/** @type {OutboxEvent[]} */ events) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  for (const event of events) {
    const phrase = phraseOf(event);
    numbers.set(phrase, (numbers.get(phrase) ?? 0) + 1);
  }
  return [...numbers].map(([phrase, number]) => (number > 1 ? `${phrase} (${number} times)` : phrase));
}
