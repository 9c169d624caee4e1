// The server's clock. Countdowns and relative times do not depend on the clock of this computer.
import { useEffect, useState } from "./html.js";

let offset = Date.now() - performance.now();

/** Return the server time in milliseconds since the epoch. */
export const serverNow = () => performance.now() + offset;

/** Set the clock to `text`, the server time of an answer that is `delay` milliseconds old. */
export function setServerTime(/** @type {string} */ text, delay = 0) {
  const at = Date.parse(text);
  if (Number.isFinite(at)) offset = at + delay - performance.now();
}

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Timer} */
let timer;

function tick() {
  for (const listener of [...listeners]) listener();
}

/** Call `listener` once a second, with one timer for the whole page. Return a function that stops it. */
export function everySecond(/** @type {() => void} */ listener) {
  listeners.add(listener);
  timer ??= setInterval(tick, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Return the server time, updated when its minute changes: in all components at once. */
export function useMinute() {
  const [, setMinute] = useState(() => Math.floor(serverNow() / 60_000));
  useEffect(() => everySecond(() => setMinute(Math.floor(serverNow() / 60_000))), []);
  return serverNow();
}

/** Return the server time, updated every `seconds`. */
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
