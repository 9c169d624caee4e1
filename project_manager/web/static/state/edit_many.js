// Edits of many tasks in one request, with one message and one undo.
import { request } from "../core/api.js";
import { count, plural } from "../core/format.js";
import { openDialog } from "./dialogs.js";
import { dispatchNow, state } from "./store.js";
import { markDirty } from "./sync.js";
import { showError, toast } from "./toasts.js";
import { showUndoable, trackWrite } from "./undo.js";

/** Return the act that restores the former values, as the server returns it. */
/** @param {string} name @param {EditedTasks} answer @param {Map<number, number>} before @returns {Act} */
const actOf = (name, answer, before) => ({
  name,
  items: new Map((answer.undo?.tasks ?? []).map((item) => [item.id, item])),
  before,
});

/** Return the parts of the sentence about tasks that did not change. `left` tasks were not sent. */
function rest(/** @type {EditedTasks} */ answer, /** @type {number} */ left) {
  return [
    answer.unchanged > 0 && `${count(answer.unchanged)} unchanged`,
    left > 0 && `${count(left)} held, left alone`,
    answer.refused_total > 0 && `${count(answer.refused_total)} refused`,
  ].filter(Boolean);
}

/** Show the result: one sentence, the reasons of the server behind a button, and one undo. */
/** @param {EditMany} edit @param {EditedTasks} answer @param {Map<number, number>} before */
function report(edit, answer, before) {
  const { changed, refused } = answer;
  const text = [changed || !answer.refused_total ? edit.done(plural(changed, "task")) : "No task changed",
    ...rest(answer, edit.left ?? 0)].join(" · ");
  const more = refused.length > 0
    ? { more: () => openDialog("refused", { refused, total: answer.refused_total }), moreName: "Show why" }
    : {};
  const act = actOf(edit.done(plural(changed, "task")), answer, before);
  if (act.items?.size) showUndoable("many", act, undefined, { ...more, text });
  else toast(text, { ...more, slot: "many", tone: changed ? "ok" : "error", hint: changed ? "" : refused[0]?.message });
}

/** Apply the same changes to many tasks. Return the answer, or null after an error message. */
export async function editMany(/** @type {EditMany} */ edit) {
  const { tasks, changes, note, force } = edit;
  if (state.editing || tasks.length === 0) return null;
  const ids = tasks.map(({ id }) => id);
  const before = new Map(tasks.map(({ id }) => [id, (state.tasks.get(id)?.version ?? 0)]));
  dispatchNow({ type: "editing", on: true });
  const body = { ids, changes, ...(note ? { note } : {}), ...(force ? { force } : {}) };
  const call = request("PATCH", "/api/tasks", { body });
  trackWrite(call);
  try {
    /** @type {EditedTasks} */
    const answer = await call;
    report(edit, answer, before);
    return answer;
  } catch (error) {
    showError(error);
    return null;
  } finally {
    dispatchNow({ type: "editing", on: false });
    markDirty(ids);
  }
}
