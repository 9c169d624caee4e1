// The latest log entry of a task, often a question that waits for an answer.
import { html, useEffect, useState } from "../core/html.js";
import { logText } from "../core/vocabulary.js";
import { readDetails } from "../state/actions.js";
import { useStore } from "../state/store.js";
import { RelativeTime } from "./chips.js";
import { PlainWithLinks } from "./markdown.js";

const known = new Map();
const KEPT = 300;
// Longer text is clipped by the style sheet.
const LONGEST = 2000;

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

/** Return the newest entry of an agent or a person, else the newest one of the system, else null. */
async function read(/** @type {Task} */ task, /** @type {string} */ moment) {
  const details = await readDetails(task.id);
  const entries = [...details.logs].sort((a, b) => b.id - a.id);
  const entry = entries.find((log) => log.kind !== "system") ?? entries[0] ?? null;
  if (known.size > KEPT) known.clear();
  known.set(task.id, { moment, entry });
  return entry;
}

/** The latest log entry. Renders nothing before it is read or if reading fails. `fixed` keeps the visible entry. */
export function LatestLogEntry(/** @type {{ task: Task, fixed?: boolean }} */ { task, fixed = false }) {
  const latestSeq = useStore((state) => newestEvent(state, task.id));
  const moment = `${task.version} ${latestSeq}`;
  const [entry, setEntry] = useState(known.get(task.id)?.entry ?? null);
  useEffect(() => {
    let current = true;
    if (!fixed && known.get(task.id)?.moment !== moment) {
      read(task, moment).then((found) => current && setEntry(found), () => current && setEntry(null));
    }
    return () => {
      current = false;
    };
  }, [task.id, moment, fixed]);
  if (!entry) return null;
  return html`<p class="latest-log-entry" data-testid="latest-log-entry">
    <b>
      <bdi>${entry.author}</bdi>
    </b> <span class="muted">
      <${RelativeTime} at=${entry.created_at} />
    </span> <span class="last-report"><${PlainWithLinks} text=${logText(entry).slice(0, LONGEST)} /></span>
  </p>`;
}
