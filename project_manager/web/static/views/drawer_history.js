// Every event of a task, newest first.
import { readEvents } from "../core/actions.js";
import { complain } from "../core/ask.js";
import { html, useEffect, useState } from "../core/html.js";
import { useStore } from "../core/store.js";
import { loadAgents } from "../core/sync.js";
import { EventRow, isEcho } from "./event_row.js";

export function History({ task }) {
  const news = useStore((state) => state.events.findLast((event) => event.task_id === task.id)?.seq ?? 0);
  const [events, setEvents] = useState(null);
  useEffect(() => {
    loadAgents().catch(complain);
    readEvents(task.id).then((found) => setEvents(found.reverse()), complain);
  }, [task.id, news]);
  useStore((state) => state.revision.agents);
  if (events === null) return html`<p class="muted">Reading…</p>`;
  const shown = events.filter((event, index) => !isEcho(event, events[index + 1], events[index - 1]));
  return html`<ol class="events" data-testid="history">${shown.map((event) => html`<${EventRow} key=${event.seq} event=${event} within=${task.id} />`)}</ol>`;
}
