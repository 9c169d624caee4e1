// The words of the product: statuses, priorities, kinds of log entries, and the permission to write.
import { readable } from "./format.js";

export const STATUSES = ["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"];
export const CLOSED = new Set(["DONE", "CANCELLED"]);

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
export const EPIC_STATUS_NAMES = { ACTIVE: "Active", PLANNED: "Planned", COMPLETED: "Completed", CANCELLED: "Cancelled" };

export const PRIORITY_NAMES = ["Urgent", "High", "Normal", "Low", "Lowest"];

export const LOG_KINDS = ["comment", "progress", "handoff", "evidence"];
export const LOG_KIND_NAMES = {
  comment: "Comment",
  progress: "Progress",
  handoff: "Handoff",
  evidence: "Evidence",
  system: "System",
};

const OPEN = STATUSES.filter((status) => !CLOSED.has(status));
const MOVES = {
  BACKLOG: STATUSES.filter((status) => status !== "REVIEW"),
  TODO: STATUSES,
  IN_PROGRESS: STATUSES,
  REVIEW: STATUSES,
  BLOCKED: STATUSES,
  DONE: OPEN,
  CANCELLED: ["BACKLOG", "TODO"],
};

/** The statuses that a task may go to from `status`; the server decides, this spares people a refusal. */
export const legalMoves = (status) => MOVES[status].filter((target) => target !== status);

/** The present status and those that it may become, in the order of the board. */
export const statusChoices = (status) => STATUSES.filter((other) => other === status || MOVES[status].includes(other));

/** What keeps a task from being offered, without "it is not TODO", which its column says already. */
export const reasonsOf = (task) => (task.status === "TODO" ? task.why_not_ready : task.why_not_ready.slice(1)).map(readable);

/** What a log entry says: what somebody wrote is left as it was written. */
export const bodyOf = (entry) => (entry.kind === "system" ? readable(entry.body) : entry.body);

export const isWithoutHolder = (task) => task.status === "IN_PROGRESS" && !task.lock;

/** May this actor write at all? Roles come as words or as ranks. */
export function canWrite(session) {
  const role = session?.actor?.role;
  return role !== undefined && role !== "viewer" && role !== 0 && role !== "VIEWER";
}
