// One store: actions go in, whoever watches a part of the state is told when that part changed.
import { useEffect, useState } from "./html.js";
import { initialState, reduce } from "./reduce.js";

export const state = initialState();
const watchers = new Set();
let scheduled = false;

function tell() {
  scheduled = false;
  for (const watcher of [...watchers]) watcher();
}

/** A burst of events is one repaint. A hidden page gets no frames, so it counts in time. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(tell, 250);
  else requestAnimationFrame(tell);
}

export function dispatch(action) {
  reduce(state, action);
  schedule();
}

/** As dispatch, painted at once: for what a person just did. */
export function dispatchNow(action) {
  reduce(state, action);
  tell();
}

export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** The part of the state that `select` picks; renders again only when it is another value. */
export function useStore(select) {
  const [, setCount] = useState(0);
  const value = select(state);
  useEffect(() => {
    let last = value;
    const look = () => {
      const next = select(state);
      if (!Object.is(next, last)) {
        last = next;
        setCount((number) => number + 1);
      }
    };
    look();
    return watch(look);
  }, [select]);
  return value;
}

/** As useStore for what need not follow each change of a burst: at once, then at most every `ms`. */
export function useCalmly(select, ms = 1000) {
  const [value, setValue] = useState(() => select(state));
  useEffect(() => {
    let timer = null;
    let last = value;
    const take = () => {
      timer = null;
      const next = select(state);
      if (Object.is(next, last)) return;
      last = next;
      setValue(next);
      timer = setTimeout(take, ms);
    };
    const look = () => timer === null && take();
    look();
    const stop = watch(look);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [select, ms]);
  return value;
}
