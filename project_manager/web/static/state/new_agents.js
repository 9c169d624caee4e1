// Agents that make their first call while the page waits for one.
import { everySecond } from "../core/clock.js";
import { useEffect, useRef, useState } from "../core/html.js";
import { knownAgents, loadAgents, refreshAgents } from "./agents.js";
import { state, useStore, watch } from "./store.js";

const RELOAD_SECONDS = 3;

/**
 * Return the ids of agents that the server did not know when this was first called. A call that reads is not noted.
 * @returns {string[]}
 */
export function useNewAgents() {
  const known = useRef(/** @type {Set<string> | null} */ (null));
  const [found, setFound] = useState(/** @type {string[]} */ ([]));
  useStore((now) => now.revision.events + now.revision.agents);
  useEffect(() => {
    const check = () => {
      if (!known.current) return;
      const ids = knownAgents().map(({ id }) => id);
      const fresh = ids.filter((id) => !known.current?.has(id));
      if (fresh.length) setFound((old) => [...old, ...fresh]);
      for (const id of fresh) known.current.add(id);
    };
    const read = () => (known.current ? refreshAgents() : loadAgents()).then(() => {
      known.current ??= new Set(state.agents.keys());
    }, () => {}); // read again in some seconds
    read();
    let count = 0;
    const stopReading = everySecond(() => {
      count += 1;
      if (count % RELOAD_SECONDS === 0 && !document.hidden) read().then(check);
    });
    const stopWatching = watch(check);
    return () => {
      stopReading();
      stopWatching();
    };
  }, []);
  return found;
}
