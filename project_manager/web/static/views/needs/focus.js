// The keyboard in the list: movement from row to row, the keys of a row, and the focus after a row has left.
import { focusedElement, useEffect, useLayoutEffect, useRef } from "../../core/html.js";
import { state } from "../../state/store.js";
import { lastInputWasKeyboard } from "./stable_list.js";

/** A second press within this time was aimed at the row that had the focus before. */
const SETTLE_MS = 150;
const ROWS = "[data-need]";
const PRESENT = `${ROWS}:not(.gone)`;
const CONTROLS = "a, button, summary";

const elements = (/** @type {string} */ selector, /** @type {ParentNode} */ inside = document) =>
  /** @type {HTMLElement[]} */ ([...inside.querySelectorAll(selector)]);
const focusedRow = () => /** @type {HTMLElement | null | undefined} */ (focusedElement()?.closest(ROWS));
const nameOf = (/** @type {Element} */ row) => /** @type {HTMLElement | null} */ (row.querySelector(".need-name"));

/** Return the control that takes the focus. An answer is not a control to land on: Enter would send it. */
const firstControl = (/** @type {HTMLElement} */ row) =>
  /** @type {HTMLElement | null} */ ((row.querySelector(".answer") ? null : row.querySelector(".need-actions button"))
    ?? row.querySelector("a, button"));

/** Return the control of `row` at the place of the focused one of `from`: the name, a key, else the first control. */
function sameControl(/** @type {HTMLElement} */ row, /** @type {HTMLElement} */ from) {
  const focused = focusedElement();
  if (focused === nameOf(from)) return nameOf(row) ?? firstControl(row);
  const key = focused?.dataset.key;
  const same = key && /** @type {HTMLElement | null} */ (row.querySelector(`button[data-key="${key}"]`));
  const at = focused ? elements(CONTROLS, from).indexOf(focused) : -1;
  return same || (row.querySelector(".answer") ? nameOf(row) : elements(CONTROLS, row)[at]) || firstControl(row);
}

/** The row that had the focus last. */
let last = "";

/** Move the focus by rows. Without a focused row, go to the last one, else to the first one. */
export function moveRow(/** @type {number} */ step) {
  const rows = elements(ROWS);
  const row = focusedRow();
  if (!row) {
    const known = rows.find((one) => one.dataset.need === last && !one.classList.contains("gone"));
    const next = known ?? document.querySelector(PRESENT);
    if (next) (nameOf(next) ?? firstControl(/** @type {HTMLElement} */ (next)))?.focus();
    return;
  }
  const here = rows.indexOf(row);
  const ahead = step > 0 ? rows.slice(here + 1) : rows.slice(0, here).reverse();
  const next = ahead.find((one) => !one.classList.contains("gone"));
  if (next) sameControl(next, row)?.focus();
}

/** Whether the focus has just moved by itself. Until then keys do not act. */
const isSettling = () => document.querySelector("[data-settling]") !== null;

/** Press the control of a key in the focused row. Without a focused row, only choose one. */
export function pressInRow(/** @type {string} */ key) {
  const row = focusedRow();
  if (!row) {
    moveRow(1);
    return;
  }
  if (row.classList.contains("gone") || isSettling() || state.pending.has(Number(row.dataset.row))) return;
  const control = /** @type {HTMLElement | null} */ (row.querySelector(`[data-key="${key}"]`));
  if (control?.matches("input")) control.focus();
  else control?.click();
}

/** Return the next waiting row after `key`, else the one before it, else null. */
function neighbourOf(/** @type {HTMLElement} */ frame, /** @type {string} */ key, /** @type {string[]} */ order) {
  const rows = elements(PRESENT, frame);
  const at = order.indexOf(key);
  const place = (/** @type {HTMLElement} */ row) => order.indexOf(row.dataset.need ?? "");
  return rows.find((row) => place(row) > at) ?? rows.findLast((row) => place(row) < at) ?? null;
}

/** Return whether the focus has to move on: the row has left after an act of the user, or its control was removed. */
function hasLost(/** @type {HTMLElement} */ frame, /** @type {string} */ key, /** @type {boolean} */ acted) {
  const row = elements(ROWS, frame).find((one) => one.dataset.need === key);
  if (acted && row && !row.classList.contains("gone")) return false;
  return document.activeElement === document.body || (acted && focusedRow() === row);
}

/**
 * Move the focus to the next row when the user has acted on the focused one, or when it was removed. Return the
 * handlers of the list.
 */
export function useFocusOnNext(/** @type {Ref} */ frame) {
  const focused = useRef(/** @type {any} */ (null));
  const acts = useRef(new Set());
  const onFocusIn = (/** @type {UiEvent} */ event) => {
    const row = event.target.closest(ROWS);
    focused.current = row && {
      key: row.dataset.need, order: elements(ROWS, frame.current).map((one) => one.dataset.need),
      named: event.target === nameOf(row),
    };
    last = row?.dataset.need ?? last;
  };
  // A dialog returns the focus. Only if the row itself was removed is the element disconnected afterwards.
  const onFocusOut = (/** @type {UiEvent} */ { target }) => {
    const before = focused.current;
    queueMicrotask(() => {
      const isLeft = state.dialogs.length === 0 && target.isConnected && focused.current === before;
      // An answer on its way hides its form, which takes the focus from it.
      if (isLeft && !acts.current.has(before?.key)) focused.current = null;
    });
  };
  const settle = () => {
    frame.current.dataset.settling = "";
    setTimeout(() => delete frame.current?.dataset.settling, SETTLE_MS);
  };
  const moveOn = () => {
    const left = focused.current;
    const page = frame.current;
    if (!left || !page || state.dialogs.length > 0 || !hasLost(page, left.key, acts.current.has(left.key))) return;
    acts.current.delete(left.key);
    const next = neighbourOf(page, left.key, left.order);
    const control = next && ((left.named && nameOf(next)) || firstControl(next));
    (control ?? page.querySelector("h1")).focus();
    settle();
  };
  useLayoutEffect(() => {
    // A closed dialog can still be in the document here. Until it is removed, the page behind it takes no focus.
    if (document.querySelector("dialog:modal")) queueMicrotask(moveOn);
    else moveOn();
  });
  const onAct = (/** @type {UiEvent} */ { type, target }) => {
    const key = target.closest(ROWS)?.dataset.need;
    if (key && (type === "submit" || target.closest("button"))) acts.current.add(key);
  };
  return { onFocusIn, onFocusOut, onClick: onAct, onSubmit: onAct };
}

/** Focus the first row when the view was opened by keyboard. */
export function useFirstFocus(/** @type {Ref} */ frame) {
  useEffect(() => {
    if (lastInputWasKeyboard() && !state.route.task && state.dialogs.length === 0) {
      const first = frame.current.querySelector(ROWS);
      if (first) (nameOf(first) ?? firstControl(first))?.focus();
    }
  }, []);
}

/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

const isPress = (/** @type {UiEvent} */ { key, target }) =>
  (key === "Enter" || key === " ") && target.matches("button, input");

/** Move by arrows, and ignore a held Enter: it would act on one row after the other. */
export function onListKey(/** @type {UiEvent} */ event) {
  const row = event.target.closest?.(ROWS);
  if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
  if (isPress(event) && (event.repeat || isSettling())) event.preventDefault();
  if (!STEPS[event.key] || event.target.matches("input")) return;
  event.preventDefault();
  moveRow(STEPS[event.key]);
}
