// Labels and rules of the domain: statuses, priorities, kinds of log entries, and the permission to write.
import { readable } from "./format.js";

/** @type {Status[]} */
export const STATUSES = ["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"];
/** @type {Set<Status>} */
export const CLOSED = new Set(["DONE", "CANCELLED"]);

/** @type {Record<Status, string>} */
export const STATUS_NAMES = {
  BACKLOG: "Backlog",
  TODO: "To do",
  IN_PROGRESS: "In progress",
  REVIEW: "Review",
  BLOCKED: "Blocked",
  DONE: "Done",
  CANCELLED: "Cancelled",
};

export const EPIC_STATUSES = ["ACTIVE", "PLANNED", "COMPLETED", "CANCELLED"];
/** @type {Record<string, string>} */
export const EPIC_STATUS_NAMES = {
  ACTIVE: "Active",
  PLANNED: "Planned",
  COMPLETED: "Completed",
  CANCELLED: "Cancelled",
};

export const PRIORITY_NAMES = ["Urgent", "High", "Normal", "Low", "Lowest"];

export const LOG_KINDS = ["comment", "progress", "handoff", "evidence"];
/** @type {Record<string, string>} */
export const LOG_KIND_NAMES = {
  comment: "Comment",
  progress: "Progress",
  handoff: "Handoff",
  evidence: "Evidence",
  question: "Question",
  answer: "Answer",
  system: "System",
};

/** The values of the filters by readiness and by time of the last change, with their names. */
/** @type {Record<string, string>} */
export const READY_NAMES = { ready: "Ready now", waiting: "Waiting", held: "Locked" };
/** @type {Record<string, string>} */
export const CHANGED_NAMES = { "1h": "Last hour", today: "Today", "24h": "Last 24 hours", "7d": "Last 7 days" };

const OPEN = STATUSES.filter((status) => !CLOSED.has(status));
/** @type {Record<Status, Status[]>} */
const TRANSITIONS = {
  BACKLOG: STATUSES.filter((status) => status !== "REVIEW"),
  TODO: STATUSES,
  IN_PROGRESS: STATUSES,
  REVIEW: STATUSES,
  BLOCKED: STATUSES,
  DONE: OPEN,
  CANCELLED: ["BACKLOG", "TODO"],
};

/** Return the statuses that a task may move to. The server decides; this avoids requests that it would reject. */
export const allowedTransitions = (/** @type {Status} */ status) =>
  TRANSITIONS[status].filter((target) => target !== status);

/** Return the present status and its allowed targets, in the order of the board. */
export const statusChoices = (/** @type {Status} */ status) =>
  STATUSES.filter((other) => other === status || TRANSITIONS[status].includes(other));

/** Return the blockers of a task without "it is not TODO", which its column shows already. */
export const reasonsOf = (/** @type {Task} */ task) =>
  (task.status === "TODO" ? task.why_not_ready : task.why_not_ready.slice(1)).map(readable);

/** @type {[RegExp, string][]} */
const SHORT_REASONS = [
  [/^depends on unfinished tasks? /, "waits for "],
  [/^depends on CANCELLED tasks? ([^;]+);.*$/, "waits for cancelled $1"],
  [/^has unfinished subtasks? /, "subtasks open: "],
  [/^conflicts with tasks? (.+), in progress$/, "conflicts with $1"],
  [/^its paths overlap those of tasks? (.+), in progress$/, "paths overlap $1"],
];

/** Return a blocker in few words: "waits for #52, #53". The sentences are those of domain/readiness.py. */
export const shortReason = (/** @type {string} */ reason) =>
  SHORT_REASONS.reduce((text, [sentence, words]) => text.replace(sentence, words), reason);

/** Return the text of a log entry. Only system entries are formatted. */
export const logText = (/** @type {LogView} */ entry) => (entry.kind === "system" ? readable(entry.body) : entry.body);

/** Return whether failed attempts have reached the limit. A limit of 0 means no limit. */
export const reachesLimit = (/** @type {number} */ attempts, /** @type {number} */ limit) =>
  limit > 0 && attempts >= limit;

export const isWithoutHolder = (/** @type {Task} */ task) => task.status === "IN_PROGRESS" && !task.lock;

/** Return whether the actor of the session is an operator. Roles are names or ranks. */
export function isOperator(/** @type {Session | null} */ session) {
  const role = session?.actor?.role;
  return role === 3 || String(role).toLowerCase() === "operator";
}

/** Return whether the actor of the session may write. Roles are names or ranks. */
export function canWrite(/** @type {Session | null} */ session) {
  const role = session?.actor?.role;
  return role !== undefined && role !== "viewer" && role !== 0 && role !== "VIEWER";
}
