// Shown for a link to a project or an epic that does not exist.
import { html } from "../../core/html.js";
import { navigate } from "../../state/route.js";

/** Return the part of the address that does not exist: "project", "epic" or null. */
export function notFoundIn(/** @type {NotFoundInProps} */ { projects, epics, route }) {
  if (route.project && !projects.has(route.project)) return "project";
  if (route.epic && !epics.has(route.epic)) return "epic";
  return null;
}

/** @type {Record<"project" | "epic", [name: string, changes: RouteChanges]>} */
const BACK = {
  project: ["Show all projects", { project: null, epic: null }],
  epic: ["Show all epics", { epic: null }],
};

const TITLES = { project: "Project not found", epic: "Epic not found" };

export function NotFound(/** @type {{ kind: "project" | "epic" }} */ { kind }) {
  const [name, changes] = BACK[kind];
  return html`<div class="empty" data-testid="not-found"><h1 class="empty-title">${TITLES[kind]}</h1><div>
    <p>It was deleted, or the link is wrong.</p>
    <button type="button" class="primary" onClick=${() => navigate(changes)}>${name}</button></div></div>`;
}
