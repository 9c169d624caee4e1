// Import and export of plans.
import { queryString } from "../core/api.js";
import { sendPlan } from "../core/upload.js";
import { openDialog } from "./dialogs.js";

/** The limit of the server on a body. */
export const MAX_BYTES = 64 * 2 ** 20;

/** Send a plan, by default as a dry run. @param {ImportRequest} request @returns {Promise<ImportResult>} */
export const sendImport = ({ name, bytes, status, prune, expected, progress }) =>
  sendPlan(
    "/api/import",
    { source: name, status, prune: prune ? "true" : null, dry_run: expected ? null : "true", expected },
    bytes,
    progress
  );

/** Return the address of the export of one project, or of all without a name. */
export const exportHref = (/** @type {"yaml" | "json"} */ format, /** @type {string} */ project = "") =>
  `/api/export${queryString({ format, project })}`;

/** Download an export, as a press on a link to it does: the server sends it as a file. */
export const download = (/** @type {"yaml" | "json"} */ format, project = "") =>
  location.assign(exportHref(format, project));

export const openImport = (/** @type {File | null} */ file = null) => openDialog("import", { file });

/** Count changes by kind of change. @returns {ChangeCounts} */
export const noChanges = () => ({ created: 0, changed: 0, unchanged: 0, deleted: 0 });

/** Fold the changes of an import by project and epic, in their order. Unchanged items are only counted. */
export function foldChanges(/** @type {PlanChange[]} */ changes) {
  /** @type {Map<string, ChangeGroup>} */
  const projects = new Map();
  const groupOf = (/** @type {Map<string, ChangeGroup>} */ groups, /** @type {string} */ name) => {
    /** @type {ChangeGroup} */
    const group = groups.get(name) ?? { name, counts: noChanges(), own: null, rows: [], groups: new Map() };
    groups.set(name, group);
    return group;
  };
  for (const change of changes) {
    const project = groupOf(projects, change.project);
    const group = change.epic === null ? project : groupOf(project.groups, change.epic);
    project.counts[change.change] += 1;
    if (group !== project) group.counts[change.change] += 1;
    const isOwn = change.kind === (group === project ? "project" : "epic");
    if (isOwn) group.own = change;
    else if (change.change !== "unchanged") group.rows.push(change);
  }
  return [...projects.values()];
}
