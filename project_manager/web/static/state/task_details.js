// The details of tasks that lists and the task panel show: log, evidence, submission, and what a policy still demands.
import { ApiError, get } from "../core/api.js";
import { useEffect, useState } from "../core/html.js";
import { useStore } from "./store.js";

const KEPT = 300;
const RETRY_MS = 5_000;

/** @type {Map<number, { moment: string, details: TaskDetails, read: number }>} */
const known = new Map();
let reads = 0;
/** The listeners by task. Each is a part of the page that shows the details of the task. */
/** @type {Map<number, Set<() => void>>} */
const listeners = new Map();
let newest = { revision: -1, seqs: new Map() };

/** Return the number of the newest event of a task. All rows share one pass over the events. */
function newestEvent(/** @type {State} */ state, /** @type {number} */ id) {
  if (newest.revision !== state.revision.events) {
    newest = {
      revision: state.revision.events,
      seqs: new Map(state.events.map((event) => [event.task_id, event.seq])),
    };
  }
  return newest.seqs.get(id) ?? 0;
}

/** Return the details as the page shows them, or undefined. */
export const shownDetails = (/** @type {number} */ id) => known.get(id)?.details;

export const readDetails = (/** @type {number} */ id, /** @type {number | undefined} */ before = undefined) =>
  get(`/api/tasks/${id}/details`, { log_limit: 50, before });

function listen(/** @type {number} */ id, /** @type {() => void} */ listener) {
  const own = listeners.get(id) ?? new Set();
  listeners.set(id, own.add(listener));
  return () => {
    own.delete(listener);
    if (own.size === 0) listeners.delete(id);
  };
}

/** Forget the oldest details that the page does not show. Without them, a verdict first asks about the work. */
function forgetOldest() {
  for (const id of known.keys()) {
    if (known.size <= KEPT) return;
    if (!listeners.has(id)) known.delete(id);
  }
}

/** Read the details and show them wherever the task is shown. `moment` identifies the state of the task. */
export async function refreshDetails(/** @type {number} */ id, moment = "") {
  reads += 1;
  const read = reads;
  const details = await readDetails(id);
  // The answer to an earlier request can arrive after that to a later one.
  if ((known.get(id)?.read ?? 0) > read) return details;
  known.delete(id);
  known.set(id, { moment, details, read });
  forgetOldest();
  for (const listener of [...listeners.get(id) ?? []]) listener();
  return details;
}

const TOO_MANY_REQUESTS = 429;

/** Return whether the same request can succeed later: the server cannot be reached, has failed or is too busy. */
const isPassing = (/** @type {unknown} */ error) =>
  error instanceof ApiError && (error.status === 0 || error.status >= 500 || error.status === TOO_MANY_REQUESTS);

/** Return the details of the task, or null before they are read or if reading fails. `fixed` keeps the present ones. */
export function useDetails(/** @type {Task} */ task, fixed = false) {
  const latestSeq = useStore((state) => newestEvent(state, task.id));
  const moment = `${task.version} ${latestSeq}`;
  const [details, setDetails] = useState(known.get(task.id)?.details ?? null);
  const [failures, setFailures] = useState(0);
  useEffect(() => {
    if (fixed) return undefined;
    const show = () => setDetails(known.get(task.id)?.details ?? null);
    if (known.has(task.id)) show(); // they can arrive between the rendering and this effect
    return listen(task.id, show);
  }, [task.id, fixed]);
  useEffect(() => {
    let current = true;
    let timer = 0;
    const fail = (/** @type {unknown} */ error) => {
      // Another part of the page can have read the same details meanwhile.
      if (!current || known.get(task.id)?.moment === moment) return;
      setDetails(null);
      if (isPassing(error)) timer = window.setTimeout(() => setFailures((number) => number + 1), RETRY_MS);
    };
    if (!fixed && known.get(task.id)?.moment !== moment) refreshDetails(task.id, moment).catch(fail);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [task.id, moment, fixed, failures]);
  return details;
}
