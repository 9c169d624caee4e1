// The newest thing that somebody wrote about a task: often the very question that waits.
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

/** What an agent or a person said; where nobody said anything, what the system noted. */
async function read(task, moment) {
  const details = await readDetails(task.id);
  const newest = [...details.logs].sort((a, b) => b.id - a.id);
  const entry = newest.find((log) => log.kind !== "system") ?? newest[0] ?? null;
  if (known.size > KEPT) known.clear();
  known.set(task.id, { moment, entry });
  return entry;
}

/** Nothing is shown while it is read, or when that fails: it is an extra. */
export function LastWord({ task }) {
  const news = useStore((state) => state.events.findLast((event) => event.task_id === task.id)?.seq ?? 0);
  const moment = `${task.version} ${news}`;
  const [entry, setEntry] = useState(known.get(task.id)?.entry ?? null);
  useEffect(() => {
    let current = true;
    if (known.get(task.id)?.moment !== moment) read(task, moment).then((found) => current && setEntry(found), () => current && setEntry(null));
    return () => {
      current = false;
    };
  }, [task.id, moment]);
  if (!entry) return null;
  return html`<p class="last-word" data-testid="last-word"><b><bdi>${entry.author}</bdi></b> <span class="muted"><${Ago} at=${entry.created_at} /></span> <span class="last-report"><${PlainWithLinks} text=${bodyOf(entry).slice(0, LONGEST)} /></span></p>`;
}
