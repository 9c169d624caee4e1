// A list that does not move while the pointer or the keyboard focus is in it.
import { focusedElement, useEffect, useLayoutEffect, useRef, useState } from "../../core/html.js";
import { state, useStore } from "../../state/store.js";

const TOUCH = matchMedia("(hover: none)");

/** The last input of this page: "key" or "pointer", or empty before the first one. */
let input = "";
addEventListener("keydown", () => { input = "key"; }, true);
addEventListener("pointerdown", () => { input = "pointer"; }, true);

export const lastInputWasKeyboard = () => input === "key";

/** Return the identity of a row. A task that moves to another group is another row. */
const rowKey = (/** @type {NeedGroup} */ group, /** @type {Task} */ task) => `${group.id}:${task.id}`;

function keysOf(/** @type {Group[]} */ groups) {
  return new Set(groups.flatMap(({ group, tasks }) => tasks.map((task) => rowKey(group, task))));
}

/** Return the frozen rows, each with its old and new task, and whether it has left the list. */
function rowsOf(/** @type {Group[]} */ frozen, /** @type {Set<string>} */ keys, /** @type {Set<string>} */ left) {
  return frozen.map(({ group, tasks }) => ({
    group,
    rows: tasks.map((task) => {
      const key = rowKey(group, task);
      const gone = !keys.has(key) || left.has(key);
      if (!keys.has(key) && !state.pending.has(task.id)) left.add(key);
      return { key, gone, before: task, task: state.tasks.get(task.id) ?? task, deleted: !state.tasks.has(task.id) };
    }),
  }));
}

/** Return whether a link or button has the keyboard focus. Focus after a click must not freeze the list. */
function focusInside(/** @type {HTMLElement} */ frame) {
  const element = focusedElement();
  return frame.contains(element) && element?.matches(":is(a, button):focus-visible");
}

/**
 * Freeze a list. `live` are the present groups. While frozen, rows keep their places: a row that left the list
 * stays as `gone`, and `newCount` counts new rows until `renew` or the list is released. On touch screens, only `renew`
 * releases it. Return { groups, newCount, renewable, renew, frame, handlers }; `renewable` is whether `renew` would
 * change the list.
 */
export function useStableList(/** @type {Group[]} */ live) {
  const frame = useRef(null);
  const pointing = useRef(false);
  const latest = useRef(live);
  const shown = useRef(live);
  const left = useRef(new Set());
  const [frozen, setFrozen] = useState(/** @type {Group[] | null} */ (null));
  const dialogs = useStore((now) => now.dialogs);

  const isBusy = () => TOUCH.matches || pointing.current || state.dialogs.length > 0 || focusInside(frame.current);
  const freeze = () => setFrozen((old) => old ?? shown.current);
  const renew = () => {
    left.current = new Set();
    setFrozen(isBusy() ? latest.current : null);
  };
  const settle = () => frame.current && !isBusy() && renew();
  useEffect(() => {
    settle();
  }, [dialogs]);
  useLayoutEffect(() => {
    latest.current = live;
    if (!frozen) shown.current = live;
    if (!frozen && TOUCH.matches && live.length) freeze();
  });

  const keys = keysOf(live);
  const groups = frozen ? rowsOf(frozen, keys, left.current) : rowsOf(live, keys, left.current);
  const places = frozen ? keysOf(frozen) : keys;
  const newCount = [...keys].filter((key) => !places.has(key) || left.current.has(key)).length;
  const gone = groups.some(({ rows }) => rows.some((row) => row.gone));
  const handlers = {
    onPointerEnter: () => {
      pointing.current = true;
      freeze();
    },
    onPointerLeave: (/** @type {PointerEvent} */ event) => {
      if (event.pointerType === "touch") return;
      pointing.current = false;
      settle();
    },
    onFocusIn: () => (focusInside(frame.current) ? freeze() : settle()),
    onFocusOut: () => queueMicrotask(settle),
  };
  return { groups, newCount, renewable: newCount > 0 || (TOUCH.matches && gone), renew, frame, handlers };
}

/**
 * Detect clicks on a row that moved under a resting pointer. Return { watch, isMisclick }: handlers for the list, and a
 * test of a click on an element of a row.
 */
export function usePointerGuard() {
  const aim = useRef(/** @type {{ x: number, y: number, row?: string } | null} */ (null));
  const rowOf = (/** @type {any} */ element) => element.closest?.("[data-need]")?.dataset.need;
  const onPointerMove = (/** @type {PointerEvent} */ event) => {
    const { clientX: x, clientY: y } = event;
    if (aim.current?.x === x && aim.current?.y === y) return;
    aim.current = { x, y, row: rowOf(event.target) };
  };
  // Scrolling counts as a movement.
  useEffect(() => {
    const forget = () => { aim.current = null; };
    addEventListener("wheel", forget, { passive: true, capture: true });
    addEventListener("scroll", forget, { passive: true, capture: true });
    return () => {
      removeEventListener("wheel", forget, { capture: true });
      removeEventListener("scroll", forget, { capture: true });
    };
  }, []);
  const isMisclick = (/** @type {MouseEvent} */ event) => {
    const at = aim.current;
    // Some browsers round the coordinates of clicks, but not those of movements.
    const isResting = at !== null && Math.abs(at.x - event.clientX) < 1 && Math.abs(at.y - event.clientY) < 1;
    return event.detail > 0 && isResting && at.row !== rowOf(event.currentTarget);
  };
  return { watch: { onPointerMove }, isMisclick };
}
