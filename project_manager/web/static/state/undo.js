// Undo. Consecutive actions of one kind share one message with a counter.
import { state } from "./store.js";
import { toast } from "./toasts.js";

/** @type {Map<string, Map<number, Undoable>>} */
const groups = new Map();

/** Return the actions of the visible message, or a new, empty group without such a message. */
function groupOf(/** @type {string} */ kind) {
  const group = groups.get(kind);
  if (group && state.toasts.some((shown) => shown.slot === kind)) return group;
  const fresh = new Map();
  groups.set(kind, fresh);
  return fresh;
}

/** Undo the actions, newest first. `back()` resolves to a sentence, or to null if it failed. */
async function undoGroup(/** @type {string} */ kind) {
  const acts = [...(groups.get(kind)?.values() ?? [])].reverse();
  groups.delete(kind);
  const sentences = [];
  for (const { back } of acts) {
    const sentence = await back();
    if (sentence) sentences.push(sentence);
  }
  if (sentences.length > 1) toast(`${sentences.length} changes undone`);
  else if (sentences.length) toast(sentences[0]);
}

/**
 * Show a message about an action on a task, with a button that undoes it. `one` is the sentence about it, `many(acts)`
 * about several tasks. Actions on the same task count once; undo restores the state before the first of them.
 */
export function showUndoableToast(/** @type {string} */ kind, /** @type {number} */ id, /** @type {Undoable} */ act) {
  const group = groupOf(kind);
  const first = group.get(id);
  group.delete(id);
  group.set(id, { ...act, back: first?.back ?? act.back });
  const several = group.size > 1;
  const text = several ? act.many([...group.values()]) : act.one;
  toast(text, { slot: kind, undo: () => undoGroup(kind), undoName: several ? "Undo all" : "Undo" });
}
