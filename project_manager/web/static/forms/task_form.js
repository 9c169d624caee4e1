// The form of a task.
import { get, newKey, patch, post } from "../core/api.js";
import { fieldValue } from "../core/due.js";
import { truncate } from "../core/format.js";
import { html, useRef, useState } from "../core/html.js";
import { LIMITS } from "../core/limits.js";
import { loadSetting, saveSetting } from "../core/local_storage.js";
import { FIELDS_BY_NAME, TASK_FIELDS } from "../core/task_fields.js";
import { PRIORITY_NAMES, STATUSES, STATUS_NAMES } from "../core/vocabulary.js";
import { closeDialog, openDialog } from "../state/dialogs.js";
import { epicOptions, projectOptions } from "../state/options.js";
import { openTask } from "../state/route.js";
import { state } from "../state/store.js";
import { reportChange } from "../state/task_edits.js";
import { claimTask } from "../state/task_leases.js";
import { nameOf, updateTask } from "../state/task_writes.js";
import { toast } from "../state/toasts.js";
import { recordFinal } from "../state/undo.js";
import { Dialog } from "../ui/dialog.js";
import { Icon } from "../ui/icons.js";
import { Field, FormError, FormFoot, useForm } from "./field.js";
import { labelsText } from "./labels.js";
import { ProjectForm } from "./plan_forms.js";
import { TaskPicker } from "./task_picker.js";
import { changesOf, creationOf, formOf } from "./task_values.js";

const SHOWN = [...Object.keys(FIELDS_BY_NAME), "project_id", "status"];
const FIRST = ["name", "description", "epic_id", "priority", "labels"];
const DETAILS = TASK_FIELDS.filter(({ name }) => !FIRST.includes(name));
const WIDE = new Set(["text", "lines", "labels", "tasks"]);
/** @type {Record<string, Record<string, unknown>>} */
const INPUTS = {
  text: { kind: "textarea", rows: "6" },
  lines: { kind: "textarea", rows: "3" },
  epic: { kind: "select" },
  priority: {
    kind: "select",
    options: PRIORITY_NAMES.map((name, value) => [String(value), `P${value} ${name}`]),
  },
  integer: { kind: "number" },
  minutes: { kind: "number", min: "0" },
  instant: { kind: "datetime-local" },
};
/** @type {Partial<Record<Status, string>>} */
const INITIAL_HINTS = { TODO: "Agents can claim it when it is ready.", BACKLOG: "Agents can claim it only by its id." };
const INITIAL_STATUSES = STATUSES.filter((status) => INITIAL_HINTS[status]).reverse();

const existing = (/** @type {number | null} */ project) => (project && state.projects.has(project) ? project : null);

function blank(/** @type {Status} */ status, /** @type {number | undefined} */ project) {
  const projects = projectOptions();
  const last = loadSetting("project", null);
  const fallback = projects.some(([id]) => id === last) ? last : projects[0]?.[0];
  return {
    project_id: project ?? existing(state.route.project) ?? fallback ?? "",
    epic_id: state.route.epic,
    status,
    labels: state.route.label ?? [],
  };
}

const epicOf = (/** @type {Task} */ parent) => ({ epic_id: parent.epic_id });

const short = (/** @type {any} */ value) => {
  const text = Array.isArray(value) ? labelsText(value.map(String)) : String(value ?? "nothing");
  return truncate(text, 80) || "nothing";
};

/** The changes by others since the form was opened. */
function Meanwhile(/** @type {{ before: Task, now: Task }} */ { before, now }) {
  const theirs = changesOf(formOf(before), formOf(now));
  const names = Object.keys(theirs);
  return html`<ul class="meanwhile">
    ${names.length === 0 && html`<li>Only its status or lease changed.</li>`}
    ${names.map((name) => html`<li key=${name}>
      <b>${FIELDS_BY_NAME[name].title}</b> is now: ${short(fieldValue(name, theirs[name]))}
    </li>`)}
  </ul>`;
}

/** @param {TaskValues} values @param {string} key @param {boolean} held @param {Task} [parent] */
async function createTask(values, key, held, parent) {
  // A task to lock starts in the backlog, so that no waiting agent claims it before this page does.
  const fields = creationOf(held ? { ...values, status: "BACKLOG" } : values);
  const body = parent ? { ...fields, parent_id: parent.id } : fields;
  const fresh = await post("/api/tasks", body, held ? `${key}-hold` : key);
  saveSetting("project", fresh.project_id);
  updateTask(fresh);
  return fresh;
}

function useTaskForm(/** @type {TaskFormProps} */ { id, task, status = "TODO", project, parent }) {
  const before = formOf(task ?? { ...blank(status, parent?.project_id ?? project), ...(parent && epicOf(parent)) });
  const [base] = useState(before);
  const [known, setKnown] = useState(task);
  const [key] = useState(newKey);
  const form = useForm(before);
  const hold = useRef(false);
  const createAndHold = (/** @type {UiEvent} */ event) => {
    hold.current = true;
    event.currentTarget.form.requestSubmit();
    hold.current = false;
  };
  const create = async (/** @type {TaskValues} */ values) => {
    const held = hold.current;
    const fresh = await createTask(values, key, held, parent);
    closeDialog(id);
    recordFinal(`Created ${nameOf(fresh)}`, "Cancel the task, or delete it.");
    toast(`Created ${nameOf(fresh)}`);
    openTask(fresh.id);
    if (held) await claimTask(fresh);
  };
  const save = async (/** @type {TaskValues} */ values) => {
    const changes = changesOf(base, values);
    if (!known || Object.keys(changes).length === 0) return closeDialog(id);
    const body = form.error?.code === "lock_held" ? { ...changes, force: true } : changes;
    const fresh = await patch(`/api/tasks/${known.id}`, body, known.version);
    updateTask(fresh);
    closeDialog(id);
    const words = { kind: "edit", name: `Saved ${nameOf(fresh)}`, undone: `${nameOf(fresh)} is as before the edit` };
    return reportChange(known, fresh, Object.keys(changes), words);
  };
  const send = async (/** @type {TaskValues} */ values) => {
    try {
      await (task ? save(values) : create(values));
    } catch (error) {
      if (known && error.status === 412) {
        const fresh = await get(`/api/tasks/${known.id}`);
        setKnown(fresh);
        updateTask(fresh);
        error.message = "This task changed while you were editing it.";
        error.hint = "Save again to overwrite only the fields that you changed.";
      } else if (error.code === "lock_held") {
        error.hint = "Save again to take it over: the agent's lease ends, and its later writes are rejected.";
      }
      throw error;
    }
  };
  return { ...form, known, createAndHold, onSubmit: form.submit(send) };
}

/** A date, and an optional time. */
function DueField(/** @type {DueFieldProps} */ { label, value, onChange, error }) {
  const set = (/** @type {string} */ part) => (/** @type {string} */ text) => onChange({ ...value, [part]: text });
  return html`<${Field} label=${label} kind="date" name="due_at" value=${value.day} onChange=${set("day")}
      error=${error} />
    <${Field} label="Due time" kind="time" name="due_time" value=${value.time} onChange=${set("time")}
        disabled=${!value.day} hint="Empty: the whole day." />`;
}

/** The input of a field of a task, by the kind of the field. */
function Input(/** @type {TaskInputProps} */ { name, form, self, ...rest }) {
  const { kind, title, hint, required } = FIELDS_BY_NAME[name];
  if (kind === "due") return html`<${DueField} label=${title} ...${form.field(name)} />`;
  if (kind === "tasks") {
    const project = Number(form.values.project_id);
    return html`<${TaskPicker} label=${title} project=${project} self=${self} ...${form.field(name)} />`;
  }
  const label = kind === "minutes" ? `${title} in minutes` : title;
  return html`<${Field} label=${label} hint=${hint} required=${required} ...${INPUTS[kind]} ...${form.field(name)}
      ...${rest} />`;
}

function Details(/** @type {{ form: Record<string, any>, self?: number }} */ { form, self }) {
  const inputs = (/** @type {TaskField[]} */ fields) =>
    fields.map(({ name }) => html`<${Input} key=${name} name=${name} form=${form} self=${self} />`);
  return html`<details class="more" open=${Boolean(self)}>
    <summary>More: dependencies, dates, criteria</summary>
    <div class="more-fields">
      ${inputs(DETAILS.filter(({ kind }) => WIDE.has(kind)))}
      <div class="columns-2">${inputs(DETAILS.filter(({ kind }) => !WIDE.has(kind)))}</div>
    </div>
  </details>`;
}

/** The project form in place of the task form while there is no project. */
function ProjectFirst(/** @type {{ id: number, status: Status }} */ { id, status }) {
  const then = (/** @type {Project} */ project) => openDialog("task", { status, project: project.id });
  return html`<${ProjectForm} id=${id} intro="A task belongs to a project. Create a project first, then the task."
      confirm="Create project, then the task" then=${then} />`;
}

export function TaskForm(/** @type {TaskFormProps} */ props) {
  const [none] = useState(() => state.projects.size === 0);
  return none ? html`<${ProjectFirst} id=${props.id} status=${props.status} />` : html`<${Form} ...${props} />`;
}

const titleOf = (/** @type {Task | undefined} */ task, /** @type {Task | undefined} */ parent) =>
  (task ? `Edit #${task.id}` : parent ? `New subtask of #${parent.id}` : "New task");

function Form(/** @type {TaskFormProps} */ props) {
  const { id, task, parent } = props;
  const form = useTaskForm(props);
  const projects = projectOptions();
  const project = Number(form.values.project_id);
  const chooseProject = (/** @type {any} */ value) =>
    form.setValues((old) => ({ ...old, project_id: value, epic_id: "", depends_on: [], conflicts_with: [] }));
  return html`<${Dialog} id=${id} title=${titleOf(task, parent)} wide dirty=${form.dirty}>
    ${(close) => html`<form onSubmit=${form.onSubmit}>
      <div class="dialog-body">
        <${FormError} error=${form.error} shown=${SHOWN}>
          ${form.error?.status === 412 && html`<${Meanwhile} before=${task} now=${form.known} />`}
        <//>
        ${task?.lock
          && !form.error
          && html`<p class="notice">
            <${Icon} name="lock" />
            <span><bdi>${task.lock.holder}</bdi> is working on this task and sees the change with its next read.</span>
          </p>`}
        <${Input} name="name" form=${form} maxlength=${LIMITS.NAME_CHARACTERS} autofocus />
        <${Input} name="description" form=${form} />
        <div class="columns-2">
          ${!task && !parent && html`<${Field} label="Project" kind="select" options=${projects}
              ...${form.field("project_id")} onChange=${chooseProject} />`}
          <${Input} name="epic_id" form=${form} options=${[["", "No epic"], ...epicOptions(project)]} />
          <${Input} name="priority" form=${form} />
          ${!task && html`<${Field} label="Status" kind="select"
              options=${INITIAL_STATUSES.map((name) => [name, STATUS_NAMES[name]])}
              hint=${INITIAL_HINTS[form.values.status]} ...${form.field("status")} />`}
        </div>
        <${Input} name="labels" form=${form} />
        <${Details} form=${form} self=${task?.id} />
      </div>
      <${FormFoot} onCancel=${close} busy=${form.busy} confirm=${task ? "Save" : "Create task"}>
        ${!task && html`<button type="button" disabled=${form.busy} onClick=${form.createAndHold}
            title="Creates the task and locks it for you" data-testid="create-and-hold">
          <${Icon} name="hand" />
          Create and lock
        </button>`}
      <//></form>`}
  <//>`;
}
