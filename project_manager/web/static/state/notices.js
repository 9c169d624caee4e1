// The rules of desktop notices: which events have one, quiet hours, and the digest of many.
import { bidiIsolate, count, MINUTE, plural, truncate, withoutOverrides } from "../core/format.js";
import { reachesLimit } from "../core/vocabulary.js";

/** @type {Record<NoticeKind, { name: string, one: string, many: string }>} */
export const NOTICE_KINDS = {
  question: { name: "Questions of agents", one: "question", many: "questions" },
  review: { name: "Work that waits for a review", one: "review", many: "reviews" },
  attempts: { name: "Tasks that failed too often", one: "failed task", many: "failed tasks" },
  silent: { name: "Agents that fell silent", one: "silent agent", many: "silent agents" },
};
const KINDS = /** @type {NoticeKind[]} */ (Object.keys(NOTICE_KINDS));

/** @type {NoticeSettings} */
const DEFAULTS = {
  on: false,
  kinds: { question: true, review: true, attempts: true, silent: true },
  quiet: false,
  from: "22:00",
  until: "07:00",
};

const SINGLE_NOTICES = 3;
const NAME_LENGTH = 100;

/** @type {NoticeMemory} */
export const NO_MEMORY = { epoch: null, seq: 0, recent: [], digest: null };

/** Return the settings with a default for each value that is missing or not valid. */
export function settingsOf(/** @type {any} */ stored) {
  const time = (/** @type {"from" | "until"} */ name) =>
    (/^\d\d:\d\d$/.test(stored?.[name]) ? stored[name] : DEFAULTS[name]);
  return {
    on: stored?.on === true,
    kinds: { ...DEFAULTS.kinds, ...stored?.kinds },
    quiet: stored?.quiet === true,
    from: time("from"),
    until: time("until"),
  };
}

/** Return whether the failed attempts reached their limit with the end of this lease. */
const reachesCap = (/** @type {OutboxEvent} */ event, /** @type {number} */ maxAttempts) =>
  event.status === "BLOCKED" && reachesLimit(event.attempts, maxAttempts)
  && (event.reason === "lock_expired" || event.reason === "explicit_release");

/** @returns {NoticeKind | null} */
function kindOf(/** @type {OutboxEvent} */ event, /** @type {number} */ maxAttempts) {
  if (event.type === "task.question_asked") return "question";
  if (event.type === "task.status_changed") return event.status === "REVIEW" ? "review" : null;
  if (event.type !== "task.unlocked") return null;
  if (reachesCap(event, maxAttempts)) return "attempts";
  return event.reason === "lock_expired" ? "silent" : null;
}

/**
 * Return the notice of an event, or null. The own actions of the user have none.
 * @param {OutboxEvent} event @param {{ maxAttempts: number, user: Actor | null }} context
 * @returns {Notice | null}
 */
export function noticeOf(event, { maxAttempts, user }) {
  const kind = kindOf(event, maxAttempts);
  const isOwn = user?.kind === "human" && event.actor.kind === "human" && event.actor.id === user.id;
  if (!kind || isOwn) return null;
  return { kind, seq: event.seq, task: event.task_id, agent: event.asker ?? event.agent_id ?? event.actor.id };
}

const minutesOf = (/** @type {string} */ time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/** Return whether a local time is within the quiet hours. They may pass midnight. Equal ends mean the whole day. */
export function isQuiet(/** @type {NoticeSettings} */ settings, /** @type {Date} */ at) {
  if (!settings.quiet) return false;
  const [from, until] = [minutesOf(settings.from), minutesOf(settings.until)];
  const now = at.getHours() * 60 + at.getMinutes();
  return from < until ? now >= from && now < until : now >= from || now < until;
}

/**
 * Return the memory after the events up to `seq`. After `silenced` events, which have no notice, a new digest begins.
 * @param {NoticeMemory} memory @param {number} seq @param {boolean} silenced
 */
export const seen = (memory, seq, silenced) => ({
  ...(silenced ? { ...NO_MEMORY, epoch: memory.epoch } : memory),
  seq: Math.max(memory.seq, seq),
});

function countsOf(/** @type {NoticeKind[]} */ kinds, /** @type {Partial<Record<NoticeKind, number>>} */ before = {}) {
  const counts = { ...before };
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/**
 * Return the notices to show one by one, or the counts of a digest, and the memory after them. The digest begins with
 * the fourth notice within a minute. It counts on until a minute passes without a notice.
 * @param {NoticeMemory} memory @param {Notice[]} notices @param {number} now
 */
export function gather(memory, notices, now) {
  const recent = memory.recent.filter(({ at }) => now - at < MINUTE);
  const all = [...recent, ...notices.map(({ kind }) => ({ kind, at: now }))];
  const running = memory.digest && now - memory.digest.at < MINUTE ? memory.digest.counts : null;
  if (notices.length === 0 || (!running && all.length <= SINGLE_NOTICES)) {
    return { single: notices, digest: null, memory: { ...memory, recent: all } };
  }
  const counts = running
    ? countsOf(notices.map(({ kind }) => kind), running)
    : countsOf(all.map(({ kind }) => kind));
  return { single: [], digest: counts, memory: { ...memory, recent: [], digest: { at: now, counts } } };
}

/** Return the text of a digest, such as "7 new: 5 reviews, 2 questions". */
export function digestText(/** @type {Partial<Record<NoticeKind, number>>} */ counts) {
  const named = KINDS.filter((kind) => counts[kind]).sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0));
  const total = named.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
  const parts = named.map((kind) => plural(counts[kind] ?? 0, NOTICE_KINDS[kind].one, NOTICE_KINDS[kind].many));
  return `${count(total)} new: ${parts.join(", ")}`;
}

/** Return the title and the text of a notice. The page may not have read the task: then its name is left out. */
export function textOf(/** @type {Notice} */ notice, /** @type {string | undefined} */ name) {
  const agent = bidiIsolate(truncate(withoutOverrides(notice.agent), NAME_LENGTH));
  const task = `#${notice.task}`;
  const body = name ? `${task} ${bidiIsolate(truncate(withoutOverrides(name), NAME_LENGTH))}` : "";
  const titles = {
    question: `${agent} asks about ${task}`,
    review: `${task} waits for a review`,
    attempts: `${task} failed too often`,
    silent: `${agent} is silent`,
  };
  const bodies = {
    question: body,
    review: body ? `${body}, by ${agent}` : `By ${agent}`,
    attempts: `${body && `${body}. `}The limit of failed attempts is reached.`,
    silent: `Its lease on ${body || task} expired.`,
  };
  return { title: titles[notice.kind], body: bodies[notice.kind] };
}
