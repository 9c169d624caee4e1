// Selecting tasks by checkbox, click and long press, for every view that lists tasks.
import { html, useLayoutEffect, useRef } from "../core/html.js";
import { canWrite } from "../core/vocabulary.js";
import { selectRange, toggleAll, toggleSelected } from "../state/selection.js";
import { state } from "../state/store.js";

const LONG_PRESS_MS = 450;
const MOVED_PX = 10;

/** The running long press. `done` stays until the click that ends it. */
let press = { x: 0, y: 0, touch: false, done: false, timer: /** @type {Timer} */ (undefined) };

const endPress = () => clearTimeout(press.timer);

/** Return the handlers by which a long press of a finger selects a task. */
export const longPress = (/** @type {number} */ id) => ({
  onPointerDown: (/** @type {UiEvent} */ event) => {
    endPress();
    press = { x: event.clientX, y: event.clientY, touch: event.pointerType === "touch", done: false, timer: undefined };
    if (!press.touch || !canWrite(state.session)) return;
    press.timer = setTimeout(() => {
      press.done = true;
      toggleSelected(id);
    }, LONG_PRESS_MS);
  },
  onPointerMove: (/** @type {UiEvent} */ event) => {
    if (Math.hypot(event.clientX - press.x, event.clientY - press.y) > MOVED_PX) endPress();
  },
  onPointerUp: endPress,
  onPointerCancel: endPress,
  // Browsers show the menu of a link, or drag it, after a long press.
  onContextMenu: (/** @type {UiEvent} */ event) => press.touch && event.preventDefault(),
});

/** Return whether the present press is one of a finger, which selects instead of dragging. */
export const isTouch = () => press.touch;

/**
 * Select by a click with Shift, Ctrl or Cmd, or by a tap while tasks are selected. Return whether the click was used.
 * `order` returns the ids of the list of the task.
 * @param {UiEvent} event @param {number} id @param {() => number[]} order
 */
export function selectOnClick(event, id, order) {
  const wasLong = press.done;
  press.done = false;
  if (!canWrite(state.session)) return false;
  // A click without a pointer has no detail: Enter opens the task.
  const isTap = press.touch && event.detail > 0 && state.selected.size > 0;
  if (!wasLong && !isTap && !event.shiftKey && !event.ctrlKey && !event.metaKey) return false;
  event.preventDefault();
  if (wasLong) return true;
  if (event.shiftKey) selectRange(order(), id, state.cursor ?? id);
  else toggleSelected(id);
  return true;
}

/** The checkbox of a task. It shows on hover, with the focus, and while tasks are selected. */
/** @param {SelectBoxProps} props */
export function SelectBox({ task, selected, focusable, order }) {
  const click = (/** @type {UiEvent} */ event) => {
    if (event.shiftKey) selectRange(order(), task.id, state.cursor ?? task.id);
    else toggleSelected(task.id);
  };
  return html`<span class="select-box">
    <input type="checkbox" checked=${selected} tabindex=${focusable ? 0 : -1} onClick=${click}
        aria-label=${`Select #${task.id} ${task.name}`} data-testid="select-box" />
  </span>`;
}

/** The checkbox of a list of tasks. It is checked when all of them are selected. */
export function SelectAllBox(/** @type {{ ids: () => number[], name: string }} */ { ids, name }) {
  const element = useRef(null);
  const all = ids();
  const some = all.some((id) => state.selected.has(id));
  const every = some && all.every((id) => state.selected.has(id));
  useLayoutEffect(() => {
    element.current.checked = every;
    element.current.indeterminate = some && !every;
  });
  return html`<span class=${some ? "select-box on" : "select-box"}>
    <input ref=${element} type="checkbox" onClick=${() => toggleAll(ids())} aria-label=${name}
        disabled=${all.length === 0} data-testid="select-all-box" />
  </span>`;
}
