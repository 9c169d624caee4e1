// A list that does not move while the pointer or the keyboard focus is in it.
import { useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { state, useStore } from "../core/store.js";

const TOUCH = matchMedia("(hover: none)");

/** The last input of this page: "key", "pointer", or null before the first one. */
let input = null;
addEventListener("keydown", () => { input = "key"; }, true);
addEventListener("pointerdown", () => { input = "pointer"; }, true);

export const byKeyboard = () => input === "key";

/** The identity of a row: a task that comes to another group is another row. */
const rowKey = (group, task) => `${group.id}:${task.id}`;

function keysOf(groups) {
  return new Set(groups.flatMap(({ group, tasks }) => tasks.map((task) => rowKey(group, task))));
}

/** The rows as they were held: each with its task of then and of now, and whether it left the list since. */
function rowsOf(held, keys, left) {
  return held.map(({ group, tasks }) => ({
    group,
    rows: tasks.map((task) => {
      const key = rowKey(group, task);
      const gone = !keys.has(key) || left.has(key);
      if (!keys.has(key) && !state.pending.has(task.id)) left.add(key);
      return { key, gone, before: task, task: state.tasks.get(task.id) ?? task, deleted: !state.tasks.has(task.id) };
    }),
  }));
}

/** Whether a link or a button has the focus by keyboard. After a click the focus stays behind and must not hold the list. */
function focusInside(frame) {
  const element = document.activeElement;
  return frame.contains(element) && element.matches(":is(a, button):focus-visible");
}

/**
 * `live` are the groups of now. While held, rows keep their places: a row that left the list stays as `gone`, newcomers
 * are counted in `news` until `renew` or the end of the hold. Where nothing hovers (touch), only `renew` ends the hold.
 * Returns { groups, news, renewable, renew, frame, handlers }; `renewable` tells whether `renew` would change the list.
 */
export function useStill(live) {
  const frame = useRef(null);
  const pointing = useRef(false);
  const latest = useRef(live);
  const shown = useRef(live);
  const left = useRef(new Set());
  const [held, setHeld] = useState(null);
  const dialogs = useStore((now) => now.dialogs);

  const isBusy = () => TOUCH.matches || pointing.current || state.dialogs.length > 0 || focusInside(frame.current);
  const hold = () => setHeld((old) => old ?? shown.current);
  const renew = () => {
    left.current = new Set();
    setHeld(isBusy() ? latest.current : null);
  };
  const settle = () => frame.current && !isBusy() && renew();
  useEffect(() => {
    settle();
  }, [dialogs]);
  useLayoutEffect(() => {
    latest.current = live;
    if (!held) shown.current = live;
    if (!held && TOUCH.matches && live.length) hold();
  });

  const keys = keysOf(live);
  const groups = held ? rowsOf(held, keys, left.current) : rowsOf(live, keys, left.current);
  const places = held ? keysOf(held) : keys;
  const news = [...keys].filter((key) => !places.has(key) || left.current.has(key)).length;
  const gone = groups.some(({ rows }) => rows.some((row) => row.gone));
  const handlers = {
    onPointerEnter: () => {
      pointing.current = true;
      hold();
    },
    onPointerLeave: (event) => {
      if (event.pointerType === "touch") return;
      pointing.current = false;
      settle();
    },
    onFocusIn: () => (focusInside(frame.current) ? hold() : settle()),
    onFocusOut: () => queueMicrotask(settle),
  };
  return { groups, news, renewable: news > 0 || (TOUCH.matches && gone), renew, frame, handlers };
}

/**
 * Tell a click on the row aimed at from a click on a row that came under a resting pointer. Returns { watch, misses }:
 * handlers for the list, and a test of a click on an element of a row.
 */
export function useAim() {
  const aim = useRef(null);
  const rowOf = (element) => element.closest?.("[data-need]")?.dataset.need;
  const onPointerMove = (event) => {
    const { clientX: x, clientY: y } = event;
    if (aim.current?.x === x && aim.current?.y === y) return;
    aim.current = { x, y, row: rowOf(event.target) };
  };
  // Scrolling is a movement too.
  useEffect(() => {
    const forget = () => { aim.current = null; };
    addEventListener("wheel", forget, { passive: true, capture: true });
    addEventListener("scroll", forget, { passive: true, capture: true });
    return () => {
      removeEventListener("wheel", forget, { capture: true });
      removeEventListener("scroll", forget, { capture: true });
    };
  }, []);
  const misses = (event) => {
    const at = aim.current;
    // The coordinates of a click are whole numbers in some browsers, those of a movement are not.
    const rests = at !== null && Math.abs(at.x - event.clientX) < 1 && Math.abs(at.y - event.clientY) < 1;
    return event.detail > 0 && rests && at.row !== rowOf(event.currentTarget);
  };
  return { watch: { onPointerMove }, misses };
}
