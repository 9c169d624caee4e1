// Due dates. A due date at midnight UTC is a whole day, the same for all readers. It ends in the reader's time zone.
import { DAY, fullTime, instant, momentOr, relative, shortDate, toLocalInput } from "./format.js";

const A_DAY = /^(\d{4})-(\d\d)-(\d\d)T00:00:00(?:\.0+)?Z$/;

const fullDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

/** Return [year, month, day] of a due date without a time, or null. */
function partsOf(/** @type {string} */ text) {
  const found = A_DAY.exec(text);
  return found && found.slice(1).map(Number);
}

/** Return the milliseconds since the epoch at which the due date has passed. */
function endOf(/** @type {string} */ text) {
  const parts = partsOf(text);
  return parts ? new Date(parts[0], parts[1] - 1, parts[2] + 1).getTime() : Date.parse(text);
}

export const isPast = (/** @type {string} */ dueAt, /** @type {number} */ now) => endOf(dueAt) <= now;

/** Return "today", "tomorrow", "in 3 d" or "12 Mar", by the reader's calendar. */
function relativeDay(/** @type {string} */ text, /** @type {number} */ now) {
  const today = new Date(now);
  const distance = Math.round(
    (Date.parse(text) - Date.UTC(today.getFullYear(), today.getMonth(), today.getDate())) / DAY
  );
  const near = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[distance];
  if (near) return near;
  if (Math.abs(distance) < 7) return distance < 0 ? `${-distance} d ago` : `in ${distance} d`;
  return shortDate(Date.parse(text), today.getFullYear(), "UTC");
}

export const dueRelative = (/** @type {string} */ text, /** @type {number} */ now) =>
  (partsOf(text) ? relativeDay(text, now) : relative(text, now));

/** Return the full due date, without a time if it is a whole day. */
export const dueInFull = (/** @type {string} */ text) =>
  (partsOf(text) ? fullDay.format(new Date(text)) : fullTime(text));

/** Format the value of a task field; values other than timestamps are unchanged. */
export const fieldValue = (/** @type {string} */ name, /** @type {any} */ value) =>
  (name === "due_at" && typeof value === "string" ? dueInFull(value) : momentOr(value));

/** Return the value of a `time` element: a date if it is a whole day. */
export const dueDatetime = (/** @type {string} */ text) => (partsOf(text) ? text.slice(0, 10) : text);

/** Return the values of the two form inputs, date and time. The time of a whole day is empty. */
export function dueInputs(/** @type {string | null | undefined} */ text) {
  if (!text) return { day: "", time: "" };
  const [day, time] = partsOf(text) ? [text.slice(0, 10), ""] : toLocalInput(text).split("T");
  return { day, time };
}

/**
 * Return the due date of the two inputs, or null. A time at midnight UTC is stored one millisecond later, because
 * midnight means a whole day.
 */
export function dueFromInputs(/** @type {{ day: string, time: string }} */ { day, time }) {
  if (!day) return null;
  if (!time) return `${day}T00:00:00.000Z`;
  const text = instant(`${day}T${time}`);
  return partsOf(text) ? text.replace(".000Z", ".001Z") : text;
}
