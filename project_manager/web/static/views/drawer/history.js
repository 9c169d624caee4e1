// All events of a task, newest first.
import { html, useEffect, useState } from "../../core/html.js";
import { loadAgents } from "../../state/agents.js";
import { useStore } from "../../state/store.js";
import { readEvents } from "../../state/task_history.js";
import { showError } from "../../state/toasts.js";
import { EventRow, isRedundant } from "../../ui/event_row.js";

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
