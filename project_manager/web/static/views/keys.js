// The keyboard shortcuts of the page.
import { openDialog } from "../core/ask.js";
import { keyOf, onKeys } from "../core/keyboard.js";
import { loadSetting } from "../core/local_storage.js";
import { state } from "../core/store.js";
import { COMMANDS, available, runCommand } from "./commands.js";

const SEQUENCE_MS = 1200;
const TYPING = "input, textarea, select, [contenteditable]";
let first = null;

function typedBy(event) {
  const pressed = keyOf(event);
  const shifted = event.shiftKey && (pressed.length > 1 || /[a-z]/i.test(pressed));
  const key = pressed.length === 1 ? pressed.toLowerCase() : pressed === "Escape" ? "Esc" : pressed;
  return shifted ? `Shift ${pressed.length === 1 ? key.toUpperCase() : key}` : key;
}

/** Single letters can be switched off (WCAG 2.1.4); these always work. */
const ALWAYS = new Set([
  "Esc", "Enter", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Shift ArrowRight", "Shift ArrowLeft", "Home",
  "End", "Shift Delete",
]);

function commandFor(typed) {
  if (!ALWAYS.has(typed) && !loadSetting("letters", true)) return null;
  return COMMANDS.find((command) => (command.keys === typed || command.also?.includes(typed)) && available(command));
}

function remembered(typed) {
  const sequence = first && performance.now() - first.at < SEQUENCE_MS ? `${first.key} ${typed}` : null;
  first = typed === "g" ? { key: typed, at: performance.now() } : null;
  return sequence;
}

const onCard = () => Boolean(document.activeElement?.closest?.("[data-task]"));
const arrow = (typed) => typed.startsWith("Arrow") || typed === "Home" || typed === "End";

function onKeyDown(event) {
  if (event.defaultPrevented) return;
  if ((event.metaKey || event.ctrlKey) && keyOf(event).toLowerCase() === "k") {
    event.preventDefault();
    if (!state.dialogs.length) openDialog("palette", {});
    return;
  }
  if (state.dialogs.length || state.signIn || event.metaKey || event.ctrlKey || event.altKey) return;
  const typed = typedBy(event);
  if (event.target.closest?.(TYPING) && typed !== "Esc") return;
  // Arrows scroll the page unless a card has the focus.
  if (arrow(typed) && !onCard() && document.activeElement !== document.body) return;
  // Enter belongs to the focused element. A card whose element was just replaced leaves the focus on the body.
  if (typed === "Enter" && document.activeElement !== document.body) return;
  const sequence = remembered(typed);
  const command = (sequence && commandFor(sequence)) ?? commandFor(typed);
  if (!command || (!command.run && !command.task)) return;
  event.preventDefault();
  runCommand(command);
}

export function startKeys() {
  addEventListener("keydown", onKeys(onKeyDown));
}
