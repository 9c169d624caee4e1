// The leases of a time span, read from the server, and the outcome of each.
import { serverNow } from "../core/clock.js";
import { useEffect, useRef, useState } from "../core/html.js";
import { fetchAll } from "./pages.js";
import { useThrottled } from "./store.js";

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
const isLive = (/** @type {State} */ state) => state.connection.status === "live";

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
