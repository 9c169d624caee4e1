// The first lines of log entries. Events have only the ids of the entries.
import { get } from "../core/api.js";
import { useEffect, useState } from "../core/html.js";
import { LIMITS } from "../core/limits.js";

const GATHER_MS = 150;
const KEPT = 5000;

/** @type {Map<number, string>} Entries without text and deleted ones have an empty line. */
const lines = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Set<number>} */
const wanted = new Set();
let reading = false;

/** Keep these lines, and forget those that were read first if there are more than KEPT. */
export function keepLines(/** @type {{ id: number, line: string }[]} */ read) {
  for (const { id, line } of read) lines.set(id, line);
  for (const id of [...lines.keys()].slice(0, Math.max(0, lines.size - KEPT))) lines.delete(id);
}

async function readWanted() {
  let answered = false;
  reading = true;
  await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  while (wanted.size) {
    const ids = [...wanted].slice(0, LIMITS.LOG_LINES_AT_ONCE);
    for (const id of ids) wanted.delete(id);
    try {
      const { items } = await get("/api/logs", { ids: ids.join(",") });
      keepLines([...ids.map((id) => ({ id, line: "" })), ...items]);
      answered = true;
    } catch {
      break; // the next event reads them again
    }
  }
  reading = false;
  // A listener asks for its lines again. After a failed read, it would repeat the request without a pause.
  if (answered) for (const listener of [...listeners]) listener();
}

/** Return the first line of the log entry of an event, or an empty text before it is read. */
export const lineOf = (/** @type {OutboxEvent} */ event) =>
  (event.type === "task.logged" ? lines.get(event.log_id) ?? "" : "");

/** Read the lines of the log entries of these events. Return a number that changes when lines arrive. */
export function useLogLines(/** @type {OutboxEvent[]} */ events) {
  const [number, setNumber] = useState(0);
  useEffect(() => {
    const listener = () => setNumber((old) => old + 1);
    listeners.add(listener);
    listener(); // lines can arrive between the rendering and this effect
    return () => listeners.delete(listener);
  }, []);
  useEffect(() => {
    for (const event of events) {
      if (event.type === "task.logged" && event.log_id && !lines.has(event.log_id)) wanted.add(event.log_id);
    }
    if (wanted.size && !reading) readWanted();
  }, [events]);
  return number;
}
