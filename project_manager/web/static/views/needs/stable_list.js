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

const messageKey = (/** @type {MessageView} */ { id }) => `message:${id}`;

function keysOf(/** @type {NeedList} */ { groups, messages }) {
  return new Set([
    ...messages.map(messageKey),
    ...groups.flatMap(({ group, tasks }) => tasks.map((task) => rowKey(group, task))),
  ]);
}

/** Return the messages of the list in their order, each with whether it has left the list, and as it is now. */
function messagesOf(/** @type {NeedList} */ shown, /** @type {NeedList} */ live) {
  const now = new Map(live.messages.map((message) => [message.id, message]));
  return shown.messages.map((message) => ({
    key: messageKey(message), message: now.get(message.id) ?? message, gone: !now.has(message.id),
  }));
}

/** Return the rows of the list, each with its old and new task, and whether it has left the list. */
function rowsOf(/** @type {NeedList} */ shown, /** @type {Set<string>} */ keys, /** @type {Set<string>} */ left) {
  return shown.groups.map(({ group, tasks }) => ({
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
  return frame.contains(element) && element?.matches(":is(a, button, summary, input):focus-visible");
}

/**
 * Freeze a list. `live` is the present one. While frozen, rows keep their places: a row that left the list stays as
 * `gone`, and `newCount` counts new rows until `renew` or the list is released. On touch screens, only `renew` releases
 * it. Return { groups, messages, newCount, renewable, renew, frame, handlers }; `renewable` is whether `renew` would
 * change the list.
 */
export function useStableList(/** @type {NeedList} */ live) {
  const frame = useRef(null);
  const pointing = useRef(false);
  const latest = useRef(live);
  const shown = useRef(live);
  const left = useRef(new Set());
  const [frozen, setFrozen] = useState(/** @type {NeedList | null} */ (null));
  const dialogs = useStore((now) => now.dialogs);

  const isBusy = () => TOUCH.matches || pointing.current || state.dialogs.length > 0 || focusInside(frame.current);
  const freeze = () => setFrozen((old) => old ?? shown.current);
  const renew = () => {
    left.current = new Set();
    setFrozen(isBusy() ? latest.current : null);
  };
  const settle = () => frame.current && !isBusy() && renew();
  useEffect(() => {
    // A closed dialog returns the focus to the list in a microtask. Look at the focus after it.
    setTimeout(settle);
  }, [dialogs]);
  const keys = keysOf(live);
  useLayoutEffect(() => {
    latest.current = live;
    if (!frozen) shown.current = live;
    // Messages are read after the tasks, and must not count as new.
    if (!frozen && TOUCH.matches && keys.size && state.messageRevision) freeze();
  });

  const places = frozen ? keysOf(frozen) : keys;
  const groups = rowsOf(frozen ?? live, keys, left.current);
  const messages = messagesOf(frozen ?? live, live);
  const newCount = [...keys].filter((key) => !places.has(key) || left.current.has(key)).length;
  const gone = messages.some((row) => row.gone) || groups.some(({ rows }) => rows.some((row) => row.gone));
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
  const renewable = newCount > 0 || (TOUCH.matches && gone);
  return { groups, messages, newCount, renewable, renew, frame, handlers };
}

/**
 * Detect clicks on a row that moved under a resting pointer. Return { watch, isMisclick }: handlers for the list, and a
 * test of a click on an element of a row.
 */
export function usePointerGuard() {
  const aim = useRef(/** @type {{ x: number, y: number, row?: string } | null} */ (null));
  const rowOf = (/** @type {any} */ element) => element?.closest?.("[data-need]")?.dataset.need;
  const onPointerMove = (/** @type {PointerEvent} */ event) => {
    const { clientX: x, clientY: y } = event;
    if (aim.current?.x === x && aim.current?.y === y) return;
    aim.current = { x, y, row: rowOf(event.target) };
  };
  // Scrolling counts as a movement. The row under the pointer at its end is the aim.
  useEffect(() => {
    /** @type {{ x: number, y: number } | null} */
    let place = null;
    const forget = () => {
      place = aim.current ?? place;
      aim.current = null;
    };
    const take = () => {
      if (place && !aim.current) aim.current = { ...place, row: rowOf(document.elementFromPoint(place.x, place.y)) };
      place = null;
    };
    addEventListener("wheel", forget, { passive: true, capture: true });
    addEventListener("scroll", forget, { passive: true, capture: true });
    addEventListener("scrollend", take, { passive: true, capture: true });
    return () => {
      removeEventListener("wheel", forget, { capture: true });
      removeEventListener("scroll", forget, { capture: true });
      removeEventListener("scrollend", take, { capture: true });
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
