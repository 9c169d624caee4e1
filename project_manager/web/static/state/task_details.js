// The details of tasks that lists and the task panel show: log, evidence, submission, and what a policy still demands.
import { get } from "../core/api.js";
import { useEffect, useState } from "../core/html.js";
import { useStore } from "./store.js";

const KEPT = 300;

/** @type {Map<number, { moment: string, details: TaskDetails }>} */
const known = new Map();
/** @type {Set<(id: number) => void>} */
const listeners = new Set();
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

/** Read the details and show them wherever the task is shown. `moment` identifies the state of the task. */
export async function refreshDetails(/** @type {number} */ id, moment = "") {
  const details = await readDetails(id);
  if (known.size > KEPT) known.clear();
  known.set(id, { moment, details });
  for (const listener of [...listeners]) listener(id);
  return details;
}

/** Return the details of the task, or null before they are read or if reading fails. `fixed` keeps the present ones. */
export function useDetails(/** @type {Task} */ task, fixed = false) {
  const latestSeq = useStore((state) => newestEvent(state, task.id));
  const moment = `${task.version} ${latestSeq}`;
  const [details, setDetails] = useState(known.get(task.id)?.details ?? null);
  useEffect(() => {
    if (fixed) return undefined;
    const listener = (/** @type {number} */ id) => id === task.id && setDetails(known.get(id)?.details ?? null);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, [task.id, fixed]);
  useEffect(() => {
    let current = true;
    if (!fixed && known.get(task.id)?.moment !== moment) {
      refreshDetails(task.id, moment).catch(() => current && setDetails(null));
    }
    return () => {
      current = false;
    };
  }, [task.id, moment, fixed]);
  return details;
}
