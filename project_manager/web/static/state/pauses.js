// The active pauses: reads, and the actions that start and end one.
import { post, remove } from "../core/api.js";
import { bidiIsolate } from "../core/format.js";
import { fetchAll } from "./pages.js";
import { dispatch, state } from "./store.js";
import { showError, toast } from "./toasts.js";

const MOST = 2000;

export async function loadPauses() {
  dispatch({ type: "pauses", pauses: await fetchAll("/api/pauses", {}, { most: MOST }) });
}

/** Return the pause of a target, if it is paused. */
export const pauseOf = (/** @type {string} */ scope, /** @type {number | string | null} */ id = null) =>
  state.pauses.find((pause) => pause.scope === scope
    && (scope === "all" || pause[/** @type {"task_id"} */ (`${scope}_id`)] === id));

/** Return the words for the target of a pause. */
export function targetOf(/** @type {PauseView} */ pause) {
  if (pause.scope === "agent") return `Agent ${bidiIsolate(pause.agent_id ?? "")}`;
  if (pause.scope === "task") return `Task #${pause.task_id}`;
  if (pause.scope === "all") return "All work";
  const project = state.projects.get(pause.project_id ?? 0);
  return `Project ${bidiIsolate(project?.name ?? String(pause.project_id))}`;
}

/** Start a pause. Throw ApiError. */
export async function startPause(/** @type {PauseTarget} */ target, /** @type {string} */ reason) {
  const pause = await post("/api/pauses", { ...target, reason: reason.trim() || null });
  await loadPauses();
  toast(`${targetOf(pause)}: paused`);
  return pause;
}

/** End a pause. Return whether it was active until then. */
export async function endPause(/** @type {PauseView} */ pause) {
  let ended = false;
  try {
    await remove(`/api/pauses/${pause.id}`);
    ended = true;
    toast(`${targetOf(pause)}: resumed`);
  } catch (error) {
    if (error.status !== 404) showError(error);
  }
  await loadPauses().catch(showError);
  return ended;
}
