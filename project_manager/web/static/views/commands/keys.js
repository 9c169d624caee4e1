// The keyboard shortcuts of the page.
import { keyOf, onKeys } from "../../core/keyboard.js";
import { loadSetting } from "../../core/local_storage.js";
import { openDialog } from "../../state/dialogs.js";
import { state } from "../../state/store.js";
import { COMMANDS, available, runCommand } from "./commands.js";

const SEQUENCE_MS = 1200;
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
/** Elements with an undo and a selection of their own. */
const TEXT = "input:not([type=checkbox]), textarea, [contenteditable]";
/** @type {{ key: string, at: number } | null} */
let first = null;

function typedBy(/** @type {KeyboardEvent} */ event) {
  const pressed = keyOf(event);
  const shifted = event.shiftKey && (pressed.length > 1 || /[a-z]/i.test(pressed));
  const key = pressed.length === 1 ? pressed.toLowerCase() : pressed === "Escape" ? "Esc" : pressed;
  return shifted ? `Shift ${pressed.length === 1 ? key.toUpperCase() : key}` : key;
}

/** Single letters can be switched off (WCAG 2.1.4); these always work. */
const ALWAYS = new Set([
  "Esc", "Enter", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Shift ArrowRight", "Shift ArrowLeft",
  "Shift ArrowDown", "Shift ArrowUp", "Ctrl A", "Ctrl Z", "F2", "Home",
  "End", "Shift Delete",
]);

function commandFor(/** @type {string} */ typed) {
  if (!ALWAYS.has(typed) && !loadSetting("letters", true)) return null;
  return COMMANDS.find((command) => (command.keys === typed || command.also?.includes(typed)) && available(command));
}

function remembered(/** @type {string} */ typed) {
  const sequence = first && performance.now() - first.at < SEQUENCE_MS ? `${first.key} ${typed}` : null;
  first = typed === "g" ? { key: typed, at: performance.now() } : null;
  return sequence;
}

const onCard = () => Boolean(document.activeElement?.closest("[data-task], [data-row]"));
const onBody = () => document.activeElement === document.body;
const isArrow = (/** @type {string} */ typed) => typed.startsWith("Arrow") || typed === "Home" || typed === "End";

/** Return whether the key belongs to the focused element or the page instead of a command. */
function isTaken(/** @type {string} */ typed, /** @type {Element} */ target) {
  if (target.closest?.(TYPING)) return typed !== "Esc";
  // Arrows scroll the page unless a card has the focus.
  if (isArrow(typed)) return !onCard() && !onBody();
  // Enter presses the focused element. The focus is on the body after the element of a card was replaced.
  return typed === "Enter" && !onBody();
}

function runTyped(/** @type {UiEvent} */ event) {
  const typed = typedBy(event);
  if (isTaken(typed, event.target)) return;
  const sequence = remembered(typed);
  const command = (sequence && commandFor(sequence)) ?? commandFor(typed);
  if (!command || (!command.run && !command.task)) return;
  event.preventDefault();
  // A held key acts once.
  if (!(command.once && event.repeat)) runCommand(command, typed);
}

/** Run the command of a letter with Ctrl or Cmd. In text fields, these keys belong to the browser. */
function runControlled(/** @type {UiEvent} */ event) {
  if (event.target.closest?.(TEXT)) return;
  const command = commandFor(`Ctrl ${keyOf(event).toUpperCase()}`);
  if (!command?.run) return;
  event.preventDefault();
  runCommand(command);
}

function onKeyDown(/** @type {UiEvent} */ event) {
  if (event.defaultPrevented) return;
  const isControlled = event.metaKey || event.ctrlKey;
  if (isControlled && keyOf(event).toLowerCase() === "k") {
    event.preventDefault();
    if (!state.dialogs.length) openDialog("palette", {});
  } else if (!event.altKey && !state.dialogs.length && !state.signIn) {
    if (!isControlled) runTyped(event);
    else if (!event.shiftKey) runControlled(event);
  }
}

export function startKeys() {
  addEventListener("keydown", onKeys(onKeyDown));
}
