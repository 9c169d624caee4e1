// All events of a task, newest first.
import { readEvents } from "../core/actions.js";
import { showError } from "../core/ask.js";
import { html, useEffect, useState } from "../core/html.js";
import { useStore } from "../core/store.js";
import { loadAgents } from "../core/sync.js";
import { EventRow, isRedundant } from "./event_row.js";

export function History(/** @type {{ task: Task }} */ { task }) {
  const latestSeq = useStore((state) => state.events.findLast((event) => event.task_id === task.id)?.seq ?? 0);
  const [events, setEvents] = useState(/** @type {OutboxEvent[] | null} */ (null));
  useEffect(() => {
    loadAgents().catch(showError);
    readEvents(task.id).then((found) => setEvents(found.reverse()), showError);
  }, [task.id, latestSeq]);
  useStore((state) => state.revision.agents);
  if (events === null) return html`<p class="muted">Reading…</p>`;
  const shown = events.filter((event, index) => !isRedundant(event, events[index + 1], events[index - 1]));
  return html`<ol class="events" data-testid="history">
    ${shown.map((event) => html`<${EventRow} key=${event.seq} event=${event} within=${task.id} />`)}
  </ol>`;
}
