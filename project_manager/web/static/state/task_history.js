// The history of one task: its time in each status, the time until agents and reviewers responded, and its content at
// the time of each submission.
import { get } from "../core/api.js";
import { STATUS_NAMES } from "../core/vocabulary.js";
import { PER_CALL, fetchAll } from "./pages.js";

/** Events without log entries and other events that change neither status nor content. */
const TYPES = [
  "task.created", "task.updated", "task.status_changed", "task.locked", "task.unlocked", "task.ready", "task.not_ready",
  "task.submitted", "task.reviewed", "task.offered", "task.offer_ended",
];
const SET = new Set(TYPES);
const PAGES = 2;
const CONTENT = /** @type {const} */ (["name", "description", "acceptance"]);

export const belongsToHistory = (/** @type {OutboxEvent} */ event, /** @type {number} */ id) =>
  event.task_id === id && SET.has(event.type);

/** Read all events of the task, oldest first. */
export const readEvents = (/** @type {number} */ id) => fetchAll(`/api/tasks/${id}/events`);

/** Read the history, oldest first: at most PAGES pages. `whole` is whether that is all of it. */
export async function readHistory(/** @type {number} */ id) {
  /** @type {OutboxEvent[]} */
  const events = [];
  let cursor;
  for (let page = 0; page < PAGES; page += 1) {
    /** @type {{ items: OutboxEvent[], next_cursor: string | null }} */
    const answer = await get(`/api/tasks/${id}/events`, { types: TYPES.join(","), limit: PER_CALL, cursor });
    events.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return { events, whole: !cursor };
}

/** Return the name of a state: a task in To do is ready, or waits. */
const stateName = (/** @type {Status} */ status, /** @type {boolean} */ ready) =>
  (status === "TODO" ? (ready ? "Ready" : "Waiting") : STATUS_NAMES[status]);

const CLOSED_NAMES = new Set([STATUS_NAMES.DONE, STATUS_NAMES.CANCELLED]);

/**
 * Return the time in each state in milliseconds, in the order of the first entry, and the present state. A task in
 * a closed state takes no time. If the first events are gone, their time counts for the first known state.
 * @param {OutboxEvent[]} events @param {Task} task @param {number} now
 */
export function timesOf(events, task, now) {
  const present = stateName(task.status, task.ready);
  const moves = events.flatMap(({ task: row, timestamp }) =>
    (row ? [{ name: stateName(/** @type {Status} */ (row.status), row.ready), at: Date.parse(timestamp) }] : []));
  /** @type {Map<string, number>} */
  const times = new Map();
  let [name, since] = [moves[0]?.name ?? present, Date.parse(task.created_at)];
  for (const move of [...moves, { name: present, at: now }]) {
    if (!CLOSED_NAMES.has(name)) times.set(name, (times.get(name) ?? 0) + Math.max(0, move.at - since));
    [name, since] = [move.name, move.at];
  }
  return { times: [...times], present };
}

/** Return the times until the first claim, and from the first submission until its verdict, or null. */
export function responsesOf(/** @type {OutboxEvent[]} */ events, /** @type {Task} */ task) {
  const timeOf = (/** @type {string} */ type) => {
    const found = events.find((event) => event.type === type && !event.renewed);
    return found ? Date.parse(found.timestamp) : null;
  };
  const between = (/** @type {number | null} */ from, /** @type {number | null} */ to) =>
    (from !== null && to !== null && to >= from ? to - from : null);
  return {
    claim: between(Date.parse(task.created_at), timeOf("task.locked")),
    verdict: between(timeOf("task.submitted"), timeOf("task.reviewed")),
  };
}

/**
 * Return the content of the task at the time of each submission by its id, from the present content and the values
 * before each edit. A submission without an event is left out, as is all content before unknown events.
 * @param {OutboxEvent[]} events @param {Task} task @returns {Map<number, TaskContent>}
 */
export function contentsOf(events, task) {
  /** @type {TaskContent} */
  let content = { name: task.name, description: task.description, acceptance: task.acceptance };
  const found = new Map();
  for (const event of [...events].reverse()) {
    if (event.type === "task.submitted") found.set(event.submission_id, content);
    if (event.type === "task.updated") {
      const before = CONTENT.filter((field) => field in (event.previous ?? {}));
      content = { ...content, ...Object.fromEntries(before.map((field) => [field, event.previous[field]])) };
    }
  }
  return found;
}
