// The newest log entry of a task: often the question that waits for an answer.
import { readDetails } from "../core/actions.js";
import { html, useEffect, useState } from "../core/html.js";
import { useStore } from "../core/store.js";
import { bodyOf } from "../core/words.js";
import { Ago } from "../ui/chips.js";
import { PlainWithLinks } from "../ui/markdown.js";

const known = new Map();
const KEPT = 300;
// More than this is not in sight.
const LONGEST = 2000;

let newest = { revision: -1, seqs: new Map() };

/** Return the number of the newest event of a task. All rows share one pass over the events. */
function newestEvent(state, id) {
  if (newest.revision !== state.revision.events) {
    newest = { revision: state.revision.events, seqs: new Map(state.events.map((event) => [event.task_id, event.seq])) };
  }
  return newest.seqs.get(id) ?? 0;
}

/** Return the newest entry of an agent or a person, else the newest one of the system, else null. */
async function read(task, moment) {
  const details = await readDetails(task.id);
  const newest = [...details.logs].sort((a, b) => b.id - a.id);
  const entry = newest.find((log) => log.kind !== "system") ?? newest[0] ?? null;
  if (known.size > KEPT) known.clear();
  known.set(task.id, { moment, entry });
  return entry;
}

/** Shows nothing until the entry is read, or if that fails. `fixed` keeps the entry that is shown. */
export function LastWord({ task, fixed = false }) {
  const news = useStore((state) => newestEvent(state, task.id));
  const moment = `${task.version} ${news}`;
  const [entry, setEntry] = useState(known.get(task.id)?.entry ?? null);
  useEffect(() => {
    let current = true;
    if (!fixed && known.get(task.id)?.moment !== moment) read(task, moment).then((found) => current && setEntry(found), () => current && setEntry(null));
    return () => {
      current = false;
    };
  }, [task.id, moment, fixed]);
  if (!entry) return null;
  return html`<p class="last-word" data-testid="last-word"><b><bdi>${entry.author}</bdi></b> <span class="muted"><${Ago} at=${entry.created_at} /></span> <span class="last-report"><${PlainWithLinks} text=${bodyOf(entry).slice(0, LONGEST)} /></span></p>`;
}
