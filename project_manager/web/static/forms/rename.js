// The name of a task, edited in place.
import { get } from "../core/api.js";
import { html, useLayoutEffect, useRef, useState } from "../core/html.js";
import { onKeys } from "../core/keyboard.js";
import { LIMITS } from "../core/limits.js";
import { dispatchNow } from "../state/store.js";
import { renameTask } from "../state/task_edits.js";
import { updateTask } from "../state/task_writes.js";
import { Icon } from "../ui/icons.js";

export const startRename = (/** @type {number} */ id) => dispatchNow({ type: "renaming", id });
const endRename = () => dispatchNow({ type: "renaming", id: null });

/** Return the present task if another client changed it. Throw ApiError. */
async function changedTask(/** @type {ApiFailure} */ error, /** @type {Task} */ task) {
  if (error.status !== 412) throw error;
  const fresh = await get(`/api/tasks/${task.id}`);
  updateTask(fresh);
  return fresh;
}

/** Rename the task. A change of other fields by others is no conflict. Throw ApiError; a conflict has `fresh`. */
async function save(/** @type {Task} */ known, /** @type {string} */ name) {
  try {
    return await renameTask(known, name);
  } catch (error) {
    const fresh = await changedTask(error, known);
    if (fresh.name === known.name) return renameTask(fresh, name);
    error.fresh = fresh;
    error.message = `Another client renamed it to “${fresh.name}” meanwhile.`;
    error.hint = "Save again to replace that name.";
    throw error;
  }
}

/** The field for the name. Enter saves, Esc cancels. `onEnd` runs after both, for the focus. */
export function Rename(/** @type {{ task: Task, onEnd: () => void }} */ { task, onEnd }) {
  const [known, setKnown] = useState(task);
  const [name, setName] = useState(task.name);
  const [error, setError] = useState(/** @type {ApiFailure | null} */ (null));
  const [busy, setBusy] = useState(false);
  const input = useRef(null);
  useLayoutEffect(() => input.current.select(), []);
  const end = () => {
    endRename();
    onEnd();
  };
  const submit = async (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (busy) return;
    if (name.trim() === known.name) {
      end();
      return;
    }
    setBusy(true);
    try {
      if (await save(known, name.trim())) end();
    } catch (failure) {
      if (failure.status === undefined) throw failure;
      if (failure.fresh) setKnown(failure.fresh);
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const onKeyDown = onKeys((event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    end();
  });
  const words = error && (error.fieldErrors.name ?? [error.message, error.hint].filter(Boolean).join(" "));
  return html`<form class="rename" onSubmit=${submit} onKeyDown=${onKeyDown} data-testid="rename">
    <textarea ref=${input} rows="2" dir="auto" maxlength=${LIMITS.NAME_CHARACTERS}
        aria-label=${`Name of #${task.id}`} value=${name}
        aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? "rename-error" : undefined}
        onInput=${(event) => setName(event.target.value.replace(/\s*\n\s*/g, " "))}
        onKeyDown=${onKeys((event) => event.key === "Enter" && submit(event))}></textarea>
    ${words && html`<p class="field-error" id="rename-error" role="alert"><${Icon} name="warn" />
      <span dir="auto">${words}</span></p>`}
    <span class="rename-foot">
      <button type="button" class="quiet small" onClick=${end}>Cancel</button>
      <button type="submit" class="primary small" disabled=${busy}>Save</button>
    </span>
  </form>`;
}
