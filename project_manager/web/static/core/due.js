// Due dates. One at midnight UTC is a day: every reader sees the same day, and it ends when the day of the reader ends.
import { DAY, fullTime, momentOr, relative, shortDate, toLocalInput } from "./format.js";

const A_DAY = /^(\d{4})-(\d\d)-(\d\d)T00:00:00(?:\.0+)?Z$/;

const fullDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

/** [year, month, day] of a due date without time; null of one with a time. */
function partsOf(text) {
  const found = A_DAY.exec(text);
  return found && found.slice(1).map(Number);
}

/** Milliseconds since the epoch at which a due date has passed. */
function endOf(text) {
  const parts = partsOf(text);
  return parts ? new Date(parts[0], parts[1] - 1, parts[2] + 1).getTime() : Date.parse(text);
}

export const isPast = (dueAt, now) => endOf(dueAt) <= now;

/** "today", "tomorrow", "in 3 d", "12 Mar", by the calendar of the reader. */
function relativeDay(text, now) {
  const today = new Date(now);
  const distance = Math.round((Date.parse(text) - Date.UTC(today.getFullYear(), today.getMonth(), today.getDate())) / DAY);
  const near = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[distance];
  if (near) return near;
  if (Math.abs(distance) < 7) return distance < 0 ? `${-distance} d ago` : `in ${distance} d`;
  return shortDate(Date.parse(text), today.getFullYear(), "UTC");
}

export const dueRelative = (text, now) => (partsOf(text) ? relativeDay(text, now) : relative(text, now));

/** The due date in full: without a time if it is a day. */
export const dueInFull = (text) => (partsOf(text) ? fullDay.format(new Date(text)) : fullTime(text));

/** A field's value for people; the fields of a task that are moments differ in how they read. */
export const fieldValue = (name, value) => (name === "due_at" && typeof value === "string" ? dueInFull(value) : momentOr(value));

/** The value of a `time` element: a date if it is a day. */
export const dueDatetime = (text) => (partsOf(text) ? text.slice(0, 10) : text);

/** The texts of the form's two inputs, date and time; the time of a day is empty. */
export function dueInputs(text) {
  if (!text) return { day: "", time: "" };
  const [day, time] = partsOf(text) ? [text.slice(0, 10), ""] : toLocalInput(text).split("T");
  return { day, time };
}

/** The due date that the two inputs mean, or null. A time that falls on midnight UTC is stored a millisecond later: it is no day. */
export function dueFromInputs({ day, time }) {
  if (!day) return null;
  if (!time) return `${day}T00:00:00.000Z`;
  const text = new Date(`${day}T${time}`).toISOString();
  return partsOf(text) ? text.replace(".000Z", ".001Z") : text;
}
