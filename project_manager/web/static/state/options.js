// Projects, epics and agents as options of select elements.
import { bidiIsolate } from "../core/format.js";
import { knownAgents } from "./agents.js";
import { state } from "./store.js";

const byName = (/** @type {Project} */ a, /** @type {Project} */ b) => a.name.localeCompare(b.name);

export function epicOptions(/** @type {number | null} */ project) {
  const epics = [...state.epics.values()].filter((epic) => !project || epic.project_id === project);
  const nameOf = (/** @type {Epic} */ epic) =>
    (project
      ? epic.name
      : `${bidiIsolate(epic.name)} (${bidiIsolate(state.projects.get(epic.project_id)?.name ?? "")})`);
  return epics.sort((a, b) => a.project_id - b.project_id || a.position - b.position).map((epic) => [
    epic.id,
    nameOf(epic),
  ]);
}

export const projectOptions = () =>
  [...state.projects.values()].sort(byName).map((project) => [
    project.id,
    project.archived_at ? `${bidiIsolate(project.name)} (archived)` : project.name,
  ]);

/** Return the ids of the agents, and of further ones, as options, by name. @returns {Choice[]} */
export const agentOptions = (/** @type {Iterable<string>} */ further = []) =>
  [...new Set([...knownAgents().map(({ id }) => id), ...further])].sort().map((id) => [id, bidiIsolate(id)]);
