// The leases of a span of time, as the server keeps them, and how each ended.
import { serverNow } from "./clock.js";
import { useEffect, useRef, useState } from "./html.js";
import { everyItem } from "./pages.js";
import { useCalmly } from "./store.js";

// Reads overlap by this, so that a lease that ended during the last read is not missed.
const OVERLAP_MS = 10_000;
const LEASE_EVENTS = new Set(["task.locked", "task.unlocked", "task.deleted"]);

export const ENDS = {
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
  deleted: "task deleted",
};

const BY_REASON = { failed: "failed", lock_expired: "expired", unconfirmed: "unconfirmed", forced: "forced", deleted: "deleted" };
const BY_STATUS = { DONE: "done", REVIEW: "review", BLOCKED: "blocked", CANCELLED: "cancelled" };

/** How a lease ended, as a key of ENDS. */
export function endOf({ reason, status }) {
  if (!reason) return "running";
  return BY_REASON[reason] ?? ((reason === "auto_release" && BY_STATUS[status]) || "released");
}

const lastLeaseEvent = (state) => state.events.findLast((event) => LEASE_EVENTS.has(event.type))?.seq ?? 0;
const isLive = (state) => state.connection.face === "live";

/** Server time in milliseconds until which events are known. */
const knownUntil = ({ face, staleSince }) => (face === "live" || !staleSince ? serverNow() : serverNow() - (Date.now() - staleSince));
const connectionOf = (state) => state.connection;

/**
 * Read the leases that were alive at or after `from`, and again after events. Returns { leases, until }: the time after
 * `until` (milliseconds by the server) is unknown; `until` is null before the first answer.
 */
export function useLeases(from) {
  const news = useCalmly(lastLeaseEvent, 1000);
  const live = useCalmly(isLive, 1000);
  const connection = useCalmly(connectionOf, 1000);
  const found = useRef(new Map());
  const begun = useRef(from);
  const [read, setRead] = useState({ at: null, failed: false });
  // A read that failed is repeated as time goes on.
  const again = read.failed ? from : 0;
  useEffect(() => {
    let current = true;
    const at = serverNow();
    const since = read.at === null ? begun.current : read.at - OVERLAP_MS;
    everyItem("/api/leases", { since: new Date(since).toISOString() }).then(
      (leases) => {
        for (const lease of leases) found.current.set(`${lease.task_id}:${lease.fence}`, lease);
        if (current) setRead({ at, failed: false });
      },
      () => current && setRead((old) => ({ ...old, failed: true })),
    );
    return () => {
      current = false;
    };
  }, [news, live, again]);
  for (const [key, lease] of found.current) if (lease.ended_at && Date.parse(lease.ended_at) < from) found.current.delete(key);
  const until = read.failed || read.at === null ? read.at : knownUntil(connection);
  return { leases: [...found.current.values()], until };
}
