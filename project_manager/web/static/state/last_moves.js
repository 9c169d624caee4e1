// The time of the last status change of a task.
import { state } from "./store.js";

let changes = { revision: -1, times: new Map() };

/** Return the time of the last status change, or of the last change without a known event. */
export function lastMoveOf(/** @type {Task} */ task) {
  if (changes.revision !== state.revision.events) {
    const found = state.events.filter((event) => event.type === "task.status_changed");
    changes = {
      revision: state.revision.events,
      times: new Map(found.map((event) => [event.task_id, event.timestamp])),
    };
  }
  return changes.times.get(task.id) ?? task.updated_at;
}
