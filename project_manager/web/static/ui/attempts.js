// What became of the attempts at a task. It counts them in one number; its events tell the leases that expired from the rest.
import { get } from "../core/api.js";
import { times } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { PER_CALL } from "../core/pages.js";

const KEPT = 1000;
const known = new Map();
let last = Promise.resolve();

const keyOf = (task) => `${task.id} ${task.fence} ${task.attempts}`;

/** Whether the count begins anew with this event: the task was done, or a person moved it or forgot the attempts. */
function forgets(event, before, after) {
  if (event.type === "task.updated") return event.changes?.attempts === 0;
  if (event.type !== "task.status_changed") return false;
  if (event.status === "DONE") return true;
  const taken = before?.type === "task.locked";
  const backToTodo = after?.reason === "forced" && after.status === "TODO";
  const given = after?.reason === "explicit_release" || after?.reason === "lock_expired" || backToTodo;
  return event.actor.kind !== "agent" && !taken && !given;
}

/** How many leases expired since the count began; null where the events from then are gone. Oldest first. */
function expiredIn(events) {
  let expired = events[0]?.type === "task.created" ? 0 : null;
  events.forEach((event, index) => {
    if (event.reason === "lock_expired") expired = expired === null ? null : expired + 1;
    else if (forgets(event, events[index - 1], events[index + 1])) expired = 0;
  });
  return expired;
}

async function read(task) {
  const page = await get(`/api/tasks/${task.id}/events`, { limit: PER_CALL });
  if (known.size >= KEPT) known.clear();
  known.set(keyOf(task), page.next_cursor ? null : expiredIn(page.items));
}

/** One question after the other, however many cards ask. */
function ask(task) {
  last = last.then(() => known.has(keyOf(task)) || read(task)).catch(() => null);
  return last;
}

function wordsOf(attempts, expired) {
  if (expired === undefined || expired === null) return `tried ${times(attempts)}`;
  if (expired >= attempts) return `expired ${times(attempts)}`;
  return expired ? `${expired} expired, ${attempts - expired} failed` : `failed ${times(attempts)}`;
}

/** Nothing where no attempt came to nothing; without a cause while that is not known. */
export function Attempts({ task }) {
  const [, again] = useState(0);
  const key = keyOf(task);
  useEffect(() => {
    let current = true;
    if (task.attempts && !known.has(key)) ask(task).then(() => current && again((number) => number + 1));
    return () => {
      current = false;
    };
  }, [key]);
  if (!task.attempts) return null;
  return html`<span class="attempts" title="Leases that expired, or were given back as failed" data-testid="attempts">${wordsOf(task.attempts, known.get(key))}</span>`;
}
