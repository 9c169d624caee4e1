// Projects and their epics: progress and actions.
import { patch, remove } from "../core/api.js";
import { bidiIsolate, plural } from "../core/format.js";
import { cx, html } from "../core/html.js";
import { policyWords } from "../core/policies.js";
import { EPIC_STATUS_NAMES, STATUS_NAMES, canWrite, isOperator } from "../core/vocabulary.js";
import { editPlan } from "../state/actions.js";
import { confirmDialog, openDialog } from "../state/dialogs.js";
import { exportHref, openImport } from "../state/plans.js";
import { follow, hrefOf } from "../state/route.js";
import { dispatch, state, useStore } from "../state/store.js";
import { readPlan } from "../state/sync.js";
import { showError, toast } from "../state/toasts.js";
import { recordAct, recordFinal } from "../state/undo.js";
import { Empty, RelativeTime } from "../ui/chips.js";
import { Icon } from "../ui/icons.js";
import { ProjectKnowledge, useKnowledgeCounts } from "../ui/knowledge.js";
import { Markdown } from "../ui/markdown.js";
import { MessageButton } from "./page/messages.js";
import { PauseButton } from "./page/pauses.js";

/** @type {("yaml" | "json")[]} */
const FORMATS = ["yaml", "json"];
/** @type {Status[]} */
const ORDER = ["DONE", "REVIEW", "IN_PROGRESS", "BLOCKED", "TODO", "BACKLOG"];

/** Count the loaded tasks. @returns {Tally} */
function tally() {
  const projects = new Map();
  const epics = new Map();
  const add = (/** @type {Map<number, Counts>} */ counts, /** @type {number} */ id, /** @type {Status} */ status) => {
    const known = counts.get(id) ?? {};
    counts.set(id, { ...known, [status]: (known[status] ?? 0) + 1 });
  };
  for (const task of state.tasks.values()) {
    add(projects, task.project_id, task.status);
    if (task.epic_id) add(epics, task.epic_id, task.status);
  }
  return { projects, epics };
}

function Progress(/** @type {{ counts?: Counts }} */ { counts = {} }) {
  const total = ORDER.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  if (!total) return html`<span class="muted">no tasks</span>`;
  let x = 0;
  const parts = ORDER.map((status) => {
    const width = ((counts[status] ?? 0) / total) * 100;
    x += width;
    return width > 0 && html`<rect key=${status} class=${`fill-${status}`} x=${x - width} y="0" width=${width}
        height="8"><title>${counts[status]} ${STATUS_NAMES[status]}</title></rect>`;
  });
  const words = ORDER
    .filter((status) => counts[status])
    .map((status) => `${counts[status]} ${STATUS_NAMES[status].toLowerCase()}`)
    .join(", ");
  return html`<span class="progress">
    <svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${words}>${parts}</svg>
    <span class="muted">${counts.DONE ?? 0} of ${total} done</span>
  </span>`;
}

async function attempt(/** @type {() => Promise<any>} */ call, /** @type {string} */ done) {
  try {
    const answer = await call();
    toast(done);
    return answer;
  } catch (error) {
    showError(error);
    return null;
  }
}

async function sendArchived(/** @type {Project} */ project, /** @type {boolean} */ archived) {
  const fresh = await patch(`/api/projects/${project.id}`, { archived }, project.version);
  dispatch({ type: "plans", projects: [fresh] });
  toast(`${archived ? "Archived" : "Unarchived"} ${bidiIsolate(fresh.name)}`);
}

/** Archive the project or, if it is archived, unarchive it. */
async function archive(/** @type {Project} */ project) {
  const archived = !project.archived_at;
  try {
    await sendArchived(project, archived);
  } catch (error) {
    showError(error);
    return;
  }
  const opposite = () => sendArchived(state.projects.get(project.id) ?? project, !archived);
  recordAct({ name: `${archived ? "Archived" : "Unarchived"} ${bidiIsolate(project.name)}`, opposite });
}

/** @param {"project" | "epic"} kind @param {Project | Epic} item @param {number} tasks */
async function erase(kind, item, tasks) {
  const rest = `${kind === "project" ? " Its epics and knowledge are deleted too." : ""} This cannot be undone.`;
  const yes = await confirmDialog({
    title: `Delete the ${kind} ${bidiIsolate(item.name)}?`,
    body: tasks
      ? `${plural(tasks, "task")} and their logs are deleted too, including tasks in progress.${rest}`
      : `It has no tasks.${rest}`,
    confirm: tasks ? `Delete with ${plural(tasks, "task")}` : "Delete",
    danger: true,
  });
  if (yes) {
    const call = () => remove(`/api/${kind}s/${item.id}`, { body: { force: true }, version: item.version });
    const name = `Deleted ${bidiIsolate(item.name)}`;
    if (await attempt(call, name)) recordFinal(name, "Its tasks and their logs no longer exist.");
  }
}

const total = (/** @type {Counts} */ counts = {}) => Object.values(counts).reduce((sum, number) => sum + number, 0);

function Tools(/** @type {ToolsProps} */ { kind, item, counts, children }) {
  return html`<span class="tools">
    ${children}
    <button type="button" class="quiet icon-button" aria-label=${`Edit ${kind} ${item.name}`}
        onClick=${() => editPlan(kind, item)}><${Icon} name="edit" /></button>
    <button type="button" class="quiet icon-button" aria-label=${`Delete ${kind} ${item.name}`}
        onClick=${() => erase(kind, item, total(counts))}><${Icon} name="trash" /></button>
  </span>`;
}

function Epic(/** @type {{ epic: Epic, counts?: Counts, writer: boolean }} */ { epic, counts, writer }) {
  const changes = { view: "board", project: epic.project_id, epic: epic.id };
  return html`<li class="epic-row" data-testid="epic">
    <a href=${hrefOf(changes)} onClick=${(event) => follow(event, changes)}><bdi>${epic.name}</bdi></a>
    ${epic.status !== "ACTIVE" && html`<span class="tag">${EPIC_STATUS_NAMES[epic.status]}</span>`}
    <span class="push"></span>
    <${Progress} counts=${counts} />
    ${writer && html`<${Tools} kind="epic" item=${epic} counts=${counts} />`}
  </li>`;
}

function Description(/** @type {{ project: Project }} */ { project }) {
  if (!project.description) return null;
  const more = () => readPlan("project", project.id).catch(showError);
  return html`<div class="project-words muted">
    <${Markdown} text=${project.description} />
    ${project.description_truncated && html`<button type="button" class="small" onClick=${more}>
      Show all of it
    </button>`}
  </div>`;
}

/** The policy of a project, with the button of operators that opens its form. */
function Policy(/** @type {{ project: Project }} */ { project }) {
  const operator = useStore((now) => isOperator(now.session));
  const words = policyWords(project.policy);
  if (words.length === 0 && !operator) return null;
  return html`<div class="policy" data-testid="policy">
    <p>
      <span class="muted">Policy for Done:</span> <span dir="auto">${words.length ? words.join("; ") : "none"}</span>
    </p>
    ${operator && html`<button type="button" class="small" aria-label=${`Policy of ${project.name}`}
        onClick=${() => openDialog("policy", { project })} data-testid="edit-policy">Change</button>`}
  </div>`;
}

function Project(/** @type {ProjectProps} */ { project, numbers, known, writer }) {
  const counts = numbers.projects.get(project.id);
  const epics = [...state.epics.values()]
    .filter((epic) => epic.project_id === project.id)
    .sort((a, b) => a.position - b.position || a.id - b.id);
  const changes = { view: "board", project: project.id, epic: null };
  return html`<article class=${project.archived_at ? "project archived" : "project"} data-testid="project">
    <header>
      <h2><a href=${hrefOf(changes)} onClick=${(event) => follow(event, changes)}><bdi>${project.name}</bdi></a></h2>
      ${project.archived_at && html`<span class="tag">Archived <${RelativeTime} at=${project.archived_at} /></span>`}
      <span class="push"></span>
      ${writer && html`<${Tools} kind="project" item=${project} counts=${counts}>
        <button type="button" class="small" onClick=${() => openDialog("epic", { project: project.id })}>
          <${Icon} name="plus" />
          Epic
        </button>
        <button type="button" class="small" onClick=${() => archive(project)}>
          ${project.archived_at ? "Unarchive" : "Archive"}
        </button>
        <${Exports} project=${project.name} small />
        <${MessageButton} target=${{ to_project: project.id }} name=${`project ${project.name}`} />
        <${PauseButton} scope="project" id=${project.id} name=${`project ${project.name}`} />
      <//>`}
    </header>
    <${Description} project=${project} />
    <${Policy} project=${project} />
    <${Progress} counts=${counts} />
    ${epics.length > 0 && html`<ul class="epics">
      ${epics.map((epic) => html`<${Epic} key=${epic.id} epic=${epic} counts=${numbers.epics.get(epic.id)}
          writer=${writer} />`)}
    </ul>`}
    <${ProjectKnowledge} project=${project} total=${known} />
  </article>`;
}

/** The exports of one project, or of all without a name. */
function Exports(/** @type {{ project?: string, small?: boolean }} */ { project = "", small = false }) {
  return html`<span class="exports">
    ${FORMATS.map((format) => html`<a key=${format} class=${cx("button", small && "small")}
        href=${exportHref(format, project)} data-testid="export"
        aria-label=${`Export ${project ? `project ${project}` : "all projects"} as ${format.toUpperCase()}`}>
      ${format === FORMATS[0] && html`<${Icon} name="export" />${small ? "" : "Export "}`}${format.toUpperCase()}
    </a>`)}
  </span>`;
}

export function Projects() {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const writer = useStore((now) => canWrite(now.session));
  const operator = useStore((now) => isOperator(now.session));
  const numbers = tally();
  const known = useKnowledgeCounts();
  const archivedLast = (/** @type {Project} */ a, /** @type {Project} */ b) =>
    Number(Boolean(a.archived_at)) - Number(Boolean(b.archived_at)) || a.name.localeCompare(b.name);
  const projects = [...state.projects.values()].sort(archivedLast);
  return html`<section class="page" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Projects</h1>
      <span class="push"></span>
      ${projects.length > 0 && html`<${Exports} />`}
      ${operator && html`<button type="button" onClick=${() => openImport()} data-testid="import">
        <${Icon} name="import" />
        Import
      </button>`}
      ${writer && html`<button type="button" class="primary" onClick=${() => openDialog("project", {})}>
        <${Icon} name="plus" />
        New project
      </button>`}
    </div>
    ${projects.length === 0
      ? html`<${Empty} title="No projects yet">
        <p>
          ${writer
            ? "Create one here, or import a plan."
            : "Projects appear here when they are created."}
        </p>
      <//>`
      : projects.map((project) => html`<${Project} key=${project.id} project=${project} numbers=${numbers}
          known=${known.get(project.id)} writer=${writer} />`)}
  </section>`;
}
