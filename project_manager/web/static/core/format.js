// Formats of times, numbers and names.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dayFormat = (/** @type {Intl.DateTimeFormatOptions} */ options) =>
  new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", ...options });
const dayOnly = { local: dayFormat({}), UTC: dayFormat({ timeZone: "UTC" }) };
const dayWithYear = { local: dayFormat({ year: "numeric" }), UTC: dayFormat({ year: "numeric", timeZone: "UTC" }) };
const whole = new Intl.NumberFormat();

export const hourAndMinute = (/** @type {number} */ ms) => clockTime.format(ms);
export const fullTime = (/** @type {string} */ text) => dayAndTime.format(new Date(text));
export const count = (/** @type {number} */ number) => whole.format(number);
export const plural = (/** @type {number} */ number, /** @type {string} */ one, many = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : many}`;

/** Shorten `text` to `length` characters with an ellipsis. */
export const truncate = (/** @type {string} */ text, /** @type {number} */ length) =>
  (text.length > length ? `${text.slice(0, length - 1).trimEnd()}…` : text);

/** @type {Record<number, string>} */
const FEW_TIMES = { 1: "once", 2: "twice" };
export const times = (/** @type {number} */ number) => FEW_TIMES[number] ?? `${count(number)} times`;

const MOMENT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?Z/g;

/** Return a server message with its timestamps in the reader's format. */
export const readable = (/** @type {string} */ text) =>
  text.replace(MOMENT, (at) => (Number.isNaN(Date.parse(at)) ? at : fullTime(at)));

const DIRECTION_CONTROLS = /[\u202a-\u202e]/g;
const LEFT_TO_RIGHT_OVERRIDE = "\u202d";

/**
 * Return the text without embeddings of a direction, and with each override as "[U+202E]". An override would reverse
 * all that follows. Marks and isolates stay: people write them.
 */
export const withoutOverrides = (/** @type {string} */ text) =>
  text.replace(DIRECTION_CONTROLS, (control) =>
    (control < LEFT_TO_RIGHT_OVERRIDE ? "" : `[U+${control.charCodeAt(0).toString(16).toUpperCase()}]`));

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Isolate a right-to-left name, so that the text around it keeps its order. */
export const bidiIsolate = (/** @type {string} */ name) => (RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name);

/** Return 4:12 or 1:02:33; never below 0:00. */
export function countdown(/** @type {number} */ ms) {
  const left = Math.max(0, Math.ceil(ms / 1000));
  const [h, min, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(min)}:${two(s)}` : `${min}:${two(s)}`;
}

/** Return "12 Mar", with the year unless it is `year`. `zone` is `local` or `UTC`. */
/** @param {number} ms @param {number} year @param {"local" | "UTC"} [zone] */
export function shortDate(ms, year, zone = "local") {
  const date = new Date(ms);
  const own = zone === "UTC" ? date.getUTCFullYear() : date.getFullYear();
  return (own === year ? dayOnly : dayWithYear)[zone].format(date);
}

/** Return "just now", "5 min ago", "in 2 h" or "12 Mar". */
export function relative(/** @type {string | number} */ text, /** @type {number} */ now) {
  const at = typeof text === "number" ? text : Date.parse(text);
  const distance = now - at;
  const size = Math.abs(distance);
  if (size < 45_000) return distance < -5000 ? "in a moment" : "just now";
  // Round first: 59 min 40 s is 1 h, not 60 min.
  const [wholeMinutes, hours, days] = [MINUTE, HOUR, DAY].map((unit) => Math.round(size / unit));
  const words = wholeMinutes < 60
    ? `${wholeMinutes} min`
    : hours < 24
    ? `${hours} h`
    : size < 7 * DAY
    ? `${days} d`
    : null;
  if (words) return distance > 0 ? `${words} ago` : `in ${words}`;
  return shortDate(at, new Date(now).getFullYear());
}

/** Like relative, with seconds under a minute: "12 s ago". */
export function relativeSeconds(/** @type {string} */ text, /** @type {number} */ now) {
  const size = now - Date.parse(text);
  if (size < 1000 || size >= MINUTE) return relative(text, now);
  return `${Math.floor(size / 1000)} s ago`;
}

/** Return a duration: "under a minute", "5 min", "2 h" or "12 d". */
export function duration(/** @type {number} */ ms) {
  if (ms < MINUTE) return "under a minute";
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  return ms < DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`;
}

const weekdayAndTime = new Intl.DateTimeFormat(undefined, {
  weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
/** Return "Mon 14:05". */
export const weekdayTime = (/** @type {number} */ ms) => weekdayAndTime.format(ms);
const weekdayOnly = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
/** Return "Mon 30". */
export const weekday = (/** @type {number} */ ms) => weekdayOnly.format(ms);

/** Return a duration of few letters: "<1 min", "5 min", "2 h" or "12 d". */
export const shortDuration = (/** @type {number} */ ms) => (ms < MINUTE ? "<1 min" : duration(ms));

/** Return 90 as "1 h 30 min". */
export function minutes(/** @type {number} */ total) {
  const hours = Math.floor(total / 60);
  const rest = total % 60;
  return [hours ? `${hours} h` : "", rest || !hours ? `${rest} min` : ""].filter(Boolean).join(" ");
}

/** Return "45 s", "4 min 12 s" or "1 h 30 min". */
export function span(/** @type {number} */ ms) {
  const total = Math.round(ms / 1000);
  if (total < 60) return `${total} s`;
  if (total >= 3600) return minutes(Math.round(total / 60));
  return [`${Math.floor(total / 60)} min`, total % 60 ? `${total % 60} s` : ""].filter(Boolean).join(" ");
}

export function seconds(/** @type {number} */ total) {
  return total < 60 ? `${total} s` : minutes(Math.round(total / 60));
}

/** Format a value that is a timestamp; return other values unchanged. */
export const momentOr = (/** @type {any} */ value) =>
  (typeof value === "string" && value.replace(MOMENT, "") === "" ? readable(value) : value);

/** Return the value of a datetime-local input for a timestamp. */
export function toLocalInput(/** @type {string | null | undefined} */ text) {
  if (!text) return "";
  const date = new Date(text);
  return new Date(date.getTime() - date.getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
}

/** Return a local time in UTC. Return a text that is no time unchanged: the server names its field. */
export function instant(/** @type {string} */ text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

export const fromLocalInput = (/** @type {string} */ value) => (value ? instant(value) : null);

/** Return two letters for an avatar: the first ones of the first and last word of an id. */
export function initials(/** @type {string} */ id) {
  const words = id.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  if (words.length === 0) return "?";
  const last = words.length > 1 ? words[words.length - 1] : words[0].slice(1);
  return (words[0][0] + (last[0] ?? "")).toUpperCase();
}

function hashOf(/** @type {string} */ text) {
  let hash = 7;
  for (let index = 0; index < text.length; index += 1) hash = (hash * 31 + text.charCodeAt(index)) >>> 0;
  return hash;
}

/** Return one of twelve hues, the same for equal texts. */
export const hueOf = (/** @type {string} */ text) => hashOf(text) % 12;

/** Return two of twelve hues for an avatar. Ids that differ in one letter get different ones (finalizer of Murmur3). */
export function huesOf(/** @type {string} */ id) {
  let hash = hashOf(id);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  return [hash % 12, Math.floor(hash / 12) % 12];
}
