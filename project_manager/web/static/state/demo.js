// The demo: its start on an empty server, and its end.
import { post, remove } from "../core/api.js";
import { serverNow } from "../core/clock.js";
import { bidiIsolate } from "../core/format.js";
import { confirmDialog } from "./dialogs.js";
import { navigate } from "./route.js";
import { state } from "./store.js";
import { showError, toast } from "./toasts.js";

/** The name of a project of the demo, as project_manager/demo/plan.py gives it. A test compares both. */
const NAME = /^Bike rental \(demo( \d+)?\)$/;
/** The length of a demo, and a little more for its last calls. */
const LENGTH_MS = 310_000;

/** Return the newest project of a demo, or undefined. Other clients may have started it. */
export const demoProject = () =>
  [...state.projects.values()].filter(({ name }) => NAME.test(name)).sort((a, b) => b.id - a.id)[0];

/** Return the milliseconds until the agents of a demo stop. */
export const demoTimeLeft = (/** @type {Project} */ project) =>
  Date.parse(project.created_at) + LENGTH_MS - serverNow();

export async function startDemo() {
  try {
    const project = await post("/api/demo", {});
    toast(`Six scripted agents work on ${bidiIsolate(project.name)} for five minutes`);
  } catch (error) {
    showError(error);
  }
}

/** Delete the project of the demo, which ends its agents. Ask first, because the user may have changed it. */
export async function stopDemo(/** @type {Project} */ project) {
  const yes = await confirmDialog({
    title: "Stop and delete the demo?",
    body: `The project ${bidiIsolate(project.name)} is deleted with all of its tasks. The scripted agents stop.`,
    confirm: "Delete the demo",
    danger: true,
  });
  if (!yes) return;
  try {
    await remove(`/api/projects/${project.id}`, { body: { force: true } });
    if (state.route.project === project.id) navigate({ project: null, epic: null });
    toast("Deleted the demo");
  } catch (error) {
    showError(error);
  }
}
