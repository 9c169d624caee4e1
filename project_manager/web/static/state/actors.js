// The kind of an actor, from the session, the list of agents and recent events.
import { state } from "./store.js";

export function kindOf(/** @type {string} */ id) {
  if (id === state.session?.actor?.id) return state.session.actor.kind;
  const listed = state.agents.get(id)?.kind;
  if (listed) return listed;
  return state.events.findLast((event) => event.actor.id === id)?.actor.kind ?? "agent";
}
