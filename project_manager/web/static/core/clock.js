// The server's clock: countdowns and "5 min ago" are never told by the clock of this computer.
import { useEffect, useState } from "./html.js";

let offset = Date.now() - performance.now();

/** Milliseconds since the epoch, by the server. */
export const serverNow = () => performance.now() + offset;

/** `text` is the server's time when it answered; `delay` is how long ago that was, in milliseconds. */
export function setServerTime(text, delay = 0) {
  const at = Date.parse(text);
  if (Number.isFinite(at)) offset = at + delay - performance.now();
}

const listeners = new Set();
let timer = null;

function tick() {
  for (const listener of [...listeners]) listener();
}

/** Calls `listener` once a second; one timer for the whole page. Returns how to stop. */
export function everySecond(listener) {
  listeners.add(listener);
  timer ??= setInterval(tick, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** The server's time, renewed each `seconds`. */
export function useNow(seconds = 1) {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    let count = 0;
    return everySecond(() => {
      count += 1;
      if (count % seconds === 0) setNow(serverNow());
    });
  }, [seconds]);
  return now;
}
