// Undo. Consecutive actions of one kind share one message with a counter.
import { toast } from "./ask.js";
import { state } from "./store.js";

const groups = new Map();

/** Return the actions of the visible message, or a new, empty group without such a message. */
function groupOf(kind) {
  const group = groups.get(kind);
  if (group && state.toasts.some((shown) => shown.slot === kind)) return group;
  groups.set(kind, new Map());
  return groups.get(kind);
}

/** Undo the actions, newest first. `back()` resolves to a sentence, or to null if it failed. */
async function undoGroup(kind) {
  const acts = [...(groups.get(kind)?.values() ?? [])].reverse();
  groups.delete(kind);
  const done = [];
  for (const { back } of acts) done.push(await back());
  const sentences = done.filter(Boolean);
  if (sentences.length > 1) toast(`${sentences.length} changes undone`);
  else if (sentences.length) toast(sentences[0]);
}

/**
 * Show a message about an action on a task, with a button that undoes it. `many(acts)` is the sentence for several
 * tasks. Actions on the same task count once; undo restores the state before the first of them.
 */
export function showUndoableToast(kind, { id, one, many, back, ...rest }) {
  const group = groupOf(kind);
  const first = group.get(id);
  group.delete(id);
  group.set(id, { ...rest, back: first?.back ?? back });
  const several = group.size > 1;
  const text = several ? many([...group.values()]) : one;
  toast(text, { slot: kind, undo: () => undoGroup(kind), undoName: several ? "Undo all" : "Undo" });
}
