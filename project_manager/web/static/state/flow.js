// The flow of tasks over time: its ranges, its reading, and the comparison with the range before.
import { get } from "../core/api.js";
import { everySecond, serverNow } from "../core/clock.js";
import { count } from "../core/format.js";
import { useEffect, useState } from "../core/html.js";
import { isLive, state } from "./store.js";

const REFRESH_SECONDS = 30;
const MANY_TIMES = 10;

/** The keys are the values of `range` in the address. `step`: the hours of one point. */
/** @type {Record<string, FlowRange>} */
export const RANGES = {
  "24h": { name: "24 h", words: "24 hours", hours: 24, step: 1 },
  "7d": { name: "7 d", words: "7 days", hours: 168, step: 6 },
  "30d": { name: "30 d", words: "30 days", hours: 720, step: 24 },
};
export const DEFAULT_RANGE = "24h";
export const rangeOf = (/** @type {string | null} */ name) =>
  (name && Object.hasOwn(RANGES, name) ? name : DEFAULT_RANGE);

/**
 * Return the last millisecond of the present step. Steps of several hours begin and end with a local day, so that a day
 * is the day of the reader.
 */
export function lastOf(/** @type {number} */ step, /** @type {number} */ now) {
  if (step === 1) return now;
  const end = new Date(now);
  end.setHours(Math.floor(end.getHours() / step) * step + step, 0, 0, -1);
  return end.getTime();
}

/** @param {FlowScope} scope @param {number} now */
export function queryOf({ range, project, epic, agent }, now) {
  const { hours, step } = RANGES[range];
  const until = new Date(lastOf(step, now)).toISOString();
  return { hours, step_hours: step, until, project_id: project, epic_id: epic, agent_id: agent };
}

/** Read the range and the one before it, of which only the totals are needed. */
async function readFlow(/** @type {FlowScope} */ scope) {
  const query = queryOf(scope, serverNow());
  const flow = await get("/api/flow", query);
  const until = new Date(Date.parse(flow.since) - 1).toISOString();
  const before = await get("/api/flow", { ...query, until, step_hours: 24 });
  // A range that is known in part would compare a week with some hours.
  const isKnown = before.known_since !== null && before.known_since <= before.since;
  return { flow, before: isKnown ? before.totals : null };
}

const lastEventAt = () => state.events[state.events.length - 1]?.timestamp ?? "";

/** Return whether the server may answer otherwise now. It follows the events with a delay. */
const isOutdated = (/** @type {FlowView} */ flow, /** @type {number} */ seq) =>
  state.seq !== seq
  || Date.parse(flow.as_of ?? "") <= Date.parse(lastEventAt())
  || serverNow() >= Date.parse(flow.until);

const isSame = (/** @type {FlowRead} */ old, /** @type {FlowRead} */ next) =>
  JSON.stringify([old.flow?.series, old.before, old.flow?.totals])
    === JSON.stringify([next.flow?.series, next.before, next.flow?.totals]);

/** @type {FlowRead} */
const NOTHING = { key: "", flow: null, before: null, error: null };

/**
 * Return the flow, read again at most every 30 seconds, while the page is visible and something has changed. When the
 * connection is back, it is read at once.
 */
export function useFlow(/** @type {FlowScope} */ scope) {
  const key = JSON.stringify(scope);
  const [read, setRead] = useState(NOTHING);
  useEffect(() => {
    let current = true;
    let busy = false;
    let second = 0;
    let seq = -1;
    let wasLive = isLive(state);
    /** @type {FlowView | null} */
    let latest = null;
    const take = async () => {
      busy = true;
      const asked = state.seq;
      try {
        const next = { key, ...(await readFlow(scope)), error: null };
        seq = asked;
        latest = next.flow;
        if (current) setRead((old) => (old.key === key && !old.error && isSame(old, next) ? old : next));
      } catch (error) {
        latest = null;
        if (current) setRead((old) => ({ ...(old.key === key ? old : NOTHING), key, error }));
      }
      busy = false;
    };
    take();
    const stop = everySecond(() => {
      second = isLive(state) && !wasLive ? REFRESH_SECONDS : second + 1;
      wasLive = isLive(state);
      if (second < REFRESH_SECONDS || document.hidden || busy) return;
      second = 0;
      if (!latest || isOutdated(latest, seq)) take();
    });
    return () => {
      current = false;
      stop();
    };
  }, [key]);
  return read.key === key ? read : NOTHING;
}

/** Return the points with the end of each in milliseconds. A point is known if a part of its time is. */
export function periodsOf(/** @type {FlowView} */ flow) {
  const end = Date.parse(flow.until);
  const asOf = Date.parse(flow.as_of ?? flow.since);
  return flow.series.map((point) => {
    const from = Date.parse(point.at);
    const until = Math.min(from + flow.step_seconds * 1000, end);
    return { from, until, point, known: point.created !== null, ahead: from > asOf };
  });
}

/** Return the words for the size of a change from `before`, which is not 0: "12 %" or "15 times as much". */
function changeWords(/** @type {number} */ now, /** @type {number} */ before) {
  const times = Math.round(now / before);
  if (times >= MANY_TIMES) return `${count(times)} times as much`;
  return `${count(Math.abs(Math.round((100 * now) / before - 100)))} %`;
}

/**
 * Return the change in words and whether it is good, or null if one of the values is unknown. `more`: a larger value is
 * better.
 * @param {number | null | undefined} now @param {number | null | undefined} before @param {boolean} more
 */
export function compared(now, before, more) {
  if (typeof now !== "number" || typeof before !== "number") return null;
  const sign = Math.sign(now - before);
  const words = before === 0 ? "from 0" : changeWords(now, before);
  if (sign === 0 || words === "0 %") return { words: "as before", tone: "same", sign: 0 };
  return { words, tone: (sign > 0) === more ? "good" : "bad", sign };
}

/** Return the part of the time of the agents in which they had no lease, from 0 to 1, or null. */
export function idleShare(/** @type {FlowTotalsView | null} */ totals) {
  const idle = totals?.idle_seconds ?? null;
  const leased = totals?.leased_seconds ?? null;
  return idle === null || leased === null || idle + leased === 0 ? null : idle / (idle + leased);
}
