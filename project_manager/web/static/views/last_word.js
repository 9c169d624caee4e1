// The newest thing that somebody wrote about a task: often the very question that waits.
import { readDetails } from "../core/actions.js";
import { html, useEffect, useState } from "../core/html.js";
import { Ago } from "../ui/chips.js";

const known = new Map();
const KEPT = 300;

async function read(task) {
  const details = await readDetails(task.id);
  const entry = [...details.logs].sort((a, b) => b.id - a.id).find((log) => log.kind !== "system") ?? null;
  if (known.size > KEPT) known.clear();
  known.set(task.id, { version: task.version, entry });
  return entry;
}

/** Nothing is shown while it is read, or when that fails: it is an extra. */
export function LastWord({ task }) {
  const [entry, setEntry] = useState(known.get(task.id)?.entry ?? null);
  useEffect(() => {
    let current = true;
    if (known.get(task.id)?.version !== task.version) read(task).then((found) => current && setEntry(found), () => setEntry(null));
    return () => {
      current = false;
    };
  }, [task.id, task.version]);
  if (!entry) return null;
  return html`<p class="last-word"><b>${entry.author}</b> <span class="muted"><${Ago} at=${entry.created_at} /></span> ${entry.body}</p>`;
}
