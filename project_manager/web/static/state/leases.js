// The leases of a time span, of all agents or of one, read from the server, and the outcome of each.
import { get } from "../core/api.js";
import { serverNow, useNow } from "../core/clock.js";
import { useCallback, useEffect, useRef, useState } from "../core/html.js";
import { PER_CALL, fetchAll } from "./pages.js";
import { isLive, useThrottled } from "./store.js";

// Overlap of two reads, so that a lease that ended during the last read is not missed.
const OVERLAP_MS = 10_000;
const LEASE_EVENTS = new Set(["task.locked", "task.unlocked", "task.deleted"]);

export const OUTCOME_NAMES = {
  running: "in progress",
  done: "done",
  review: "sent to review",
  blocked: "blocked",
  cancelled: "cancelled",
  released: "released",
  failed: "released as failed",
  expired: "expired",
  unconfirmed: "never confirmed",
  forced: "ended by force",
  stopped: "stopped by an operator",
  deleted: "task deleted",
};

/** @type {Record<string, string>} */
const BY_REASON = {
  failed: "failed",
  lock_expired: "expired",
  unconfirmed: "unconfirmed",
  forced: "forced",
  stopped: "stopped",
  deleted: "deleted",
};
/** @type {Record<string, string>} */
const BY_STATUS = { DONE: "done", REVIEW: "review", BLOCKED: "blocked", CANCELLED: "cancelled" };

/** Return the outcome of a lease as a key of OUTCOME_NAMES. */
export function endOf(/** @type {{ reason: string | null, status: string | null }} */ { reason, status }) {
  if (!reason) return "running";
  return BY_REASON[reason] ?? ((reason === "auto_release" && BY_STATUS[status ?? ""]) || "released");
}

const lastLeaseEvent = (/** @type {State} */ state) =>
  state.events.findLast((event) => LEASE_EVENTS.has(event.type))?.seq ?? 0;

/** Return the server time in milliseconds until which events are known. */
const freshUntil = (/** @type {{ status: string, staleSince: number | null }} */ { status, staleSince }) =>
  (status === "live" || !staleSince ? serverNow() : serverNow() - (Date.now() - staleSince));
const connectionOf = (/** @type {State} */ state) => state.connection;

/**
 * Read the leases that were alive at or after `from`, and read again after events. Return { leases, until }. The time
 * after `until` (server time in milliseconds) is unknown. `until` is null before the first answer.
 */
export function useLeases(/** @type {number} */ from) {
  const latestSeq = useThrottled(lastLeaseEvent, 1000);
  const live = useThrottled(isLive, 1000);
  const connection = useThrottled(connectionOf, 1000);
  const found = useRef(new Map());
  const begun = useRef(from);
  const [read, setRead] = useState({ at: /** @type {number | null} */ (null), failed: false });
  // Repeat a failed read as time passes.
  const again = read.failed ? from : 0;
  useEffect(() => {
    let current = true;
    const at = serverNow();
    const since = read.at === null ? begun.current : read.at - OVERLAP_MS;
    fetchAll("/api/leases", { since: new Date(since).toISOString() }).then(
      (leases) => {
        for (const lease of leases) found.current.set(`${lease.task_id}:${lease.fence}`, lease);
        if (current) setRead({ at, failed: false });
      },
      () => current && setRead((old) => ({ ...old, failed: true })),
    );
    return () => {
      current = false;
    };
  }, [latestSeq, live, again]);
  for (const [key, lease] of found.current) {
    if (lease.ended_at && Date.parse(lease.ended_at) < from) found.current.delete(key);
  }
  const until = read.failed || read.at === null ? read.at : freshUntil(connection);
  return { leases: [...found.current.values()], until };
}

// 10,000 leases: an agent that ends one every minute for a week.
const PAGES_READ = 20;
const RETRY_SECONDS = 10;

/** The leases of an agent that were read. `from` is the earliest known time. */
const nothingRead = (/** @type {string} */ agent) => ({
  agent, leases: new Map(), from: Infinity, at: /** @type {number | null} */ (null),
});

/**
 * Add the leases of an agent that were alive at or after `since`, the newest first, in at most PAGES_READ pages.
 * `onPage` gets the time back to which they are known, after each page. It returns false to end the read.
 * @param {ReturnType<typeof nothingRead>} known @param {number} since @param {(from: number) => boolean} onPage
 */
async function readLeases(known, since, onPage) {
  const query = { agent_id: known.agent, since: new Date(since).toISOString(), limit: PER_CALL };
  let cursor;
  for (let number = 0; number < PAGES_READ; number += 1) {
    /** @type {{ items: LeaseView[], next_cursor: string | null }} */
    const page = await get("/api/leases", { ...query, cursor });
    for (const lease of page.items) {
      const key = `${lease.task_id}:${lease.fence}`;
      // Reads overlap, and the answer of an older one may arrive last.
      if (lease.ended_at || !known.leases.get(key)?.ended_at) known.leases.set(key, lease);
    }
    cursor = page.next_cursor;
    const last = page.items[page.items.length - 1];
    // Live leases come first. Only ended ones show how far back the pages reach.
    const reached = last?.ended_at ? Date.parse(last.ended_at) : Infinity;
    if (!onPage(cursor ? reached : since) || !cursor) return;
  }
}

/**
 * Read the leases of an agent in the last `length` milliseconds, and read again after its events. Return { leases,
 * from, until, whole, number }. Leases that ended before `from` or after `until` are unknown. `whole` is whether the
 * read has reached the start of the time span. `until` is null before the first answer. `number` counts the answers.
 * @param {string} agent @param {number} length
 */
export function useAgentLeases(agent, length) {
  const isOfAgent = (/** @type {State} */ now) =>
    now.events.findLast((event) => LEASE_EVENTS.has(event.type) && (event.agent_id ?? agent) === agent)?.seq ?? 0;
  const latestSeq = useThrottled(useCallback(isOfAgent, [agent]), 1000);
  const live = useThrottled(isLive, 1000);
  const connection = useThrottled(connectionOf, 1000);
  const now = useNow(RETRY_SECONDS);
  const found = useRef(nothingRead(agent));
  if (found.current.agent !== agent) found.current = nothingRead(agent);
  const known = found.current;
  const [read, setRead] = useState({ number: 0, failed: false });
  const again = read.failed ? now : 0;
  /** @param {(show: (failed?: boolean) => boolean, at: number) => Promise<void>} act */
  const reading = (act) => {
    let current = true;
    const show = (failed = false) => {
      if (current) setRead((old) => ({ number: old.number + 1, failed }));
      return current;
    };
    act(show, serverNow()).catch(() => show(true));
    return () => {
      current = false;
    };
  };
  useEffect(() => reading((show, at) => readLeases(known, at - length, (from) => {
    known.from = Math.min(known.from, from);
    known.at = at;
    return show();
  })), [agent, length, live, again]);
  useEffect(() => {
    if (known.at === null) return undefined;
    const since = known.at - OVERLAP_MS;
    return reading((show, at) => readLeases(known, since, () => {
      known.at = at;
      return show();
    }));
  }, [latestSeq]);
  const until = read.failed || known.at === null ? known.at : freshUntil(connection);
  const wanted = serverNow() - length;
  return {
    leases: [...known.leases.values()],
    from: Math.min(serverNow(), Math.max(known.from, wanted)),
    until,
    whole: known.from <= wanted,
    number: read.number,
  };
}

let historyStart = 0;

/** Return the time in milliseconds of the oldest event, from which leases are kept, or 0 before it is read. */
export function useHistoryStart() {
  const [start, setStart] = useState(historyStart);
  useEffect(() => {
    get("/api/events", { limit: 1 }).then(({ items }) => {
      historyStart = items.length ? Date.parse(items[0].timestamp) : 0;
      setStart(historyStart);
    }).catch(() => {}); // then only the first call of the agent limits the timeline
  }, []);
  return start;
}
