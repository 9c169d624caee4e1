// The store of the page: actions change the state, and subscribers to a part of it run when that part changes.
import { useEffect, useState } from "../core/html.js";
import { initialState, reduce } from "./reduce.js";

export const state = initialState();
/** @type {Set<() => void>} */
const watchers = new Set();
let scheduled = false;

function notify() {
  scheduled = false;
  for (const watcher of [...watchers]) watcher();
}

/** Repaint once for a burst of events. A hidden page gets no animation frames, so a timer runs instead. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(notify, 250);
  else requestAnimationFrame(notify);
}

export function dispatch(/** @type {Action} */ action) {
  reduce(state, action);
  schedule();
}

/** Dispatch an action and repaint at once, for direct user actions. */
export function dispatchNow(/** @type {Action} */ action) {
  reduce(state, action);
  notify();
}

/** Call `watcher` after each change. Return a function that stops it. */
export function watch(/** @type {() => void} */ watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/**
 * Return the part of the state that `select` picks. Render again only when its value changes.
 * @template Part @param {(state: State) => Part} select
 */
export function useStore(select) {
  const [, setCount] = useState(0);
  const value = select(state);
  useEffect(() => {
    let last = value;
    const check = () => {
      const next = select(state);
      if (!Object.is(next, last)) {
        last = next;
        setCount((number) => number + 1);
      }
    };
    check();
    return watch(check);
  }, [select]);
  return value;
}

/**
 * Like useStore, for values that change in bursts or cost much: select at once, then at most every `ms` milliseconds.
 * @template Part @param {(state: State) => Part} select
 */
export function useThrottled(select, ms = 1000) {
  const [value, setValue] = useState(() => select(state));
  useEffect(() => {
    /** @type {Timer} */
    let timer;
    let last = value;
    let changed = false;
    const take = () => {
      changed = false;
      timer = setTimeout(end, ms);
      const next = select(state);
      if (Object.is(next, last)) return;
      last = next;
      setValue(next);
    };
    const end = () => {
      timer = undefined;
      if (changed) take();
    };
    const check = () => {
      if (timer) changed = true;
      else take();
    };
    check();
    const stop = watch(check);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [select, ms]);
  return value;
}

/** Return whether the page is up to date. */
export const isLive = (/** @type {State} */ now) => now.connection.status === "live";
