// The forms of projects and epics.
import { get, newKey, patch, post } from "../core/api.js";
import { bidiIsolate } from "../core/format.js";
import { html, useState } from "../core/html.js";
import { LIMITS } from "../core/limits.js";
import { EPIC_STATUSES, EPIC_STATUS_NAMES } from "../core/vocabulary.js";
import { closeDialog } from "../state/dialogs.js";
import { projectOptions } from "../state/options.js";
import { dispatchNow, state } from "../state/store.js";
import { toast } from "../state/toasts.js";
import { Dialog } from "../ui/dialog.js";
import { Field, FormError, FormFoot, useForm } from "./field.js";

/**
 * Create an item, or send its changed fields. After a conflict, show the other change; the next attempt overwrites it.
 */
export function usePlanForm(/** @type {UsePlanFormProps} */ { id, kind, item, initial, body, then }) {
  const form = useForm(initial);
  const [known, setKnown] = useState(item);
  const [key] = useState(newKey);
  const send = async (/** @type {Record<string, any>} */ values) => {
    try {
      const fresh = known
        ? await patch(`/api/${kind}s/${known.id}`, body(values), known.version)
        : await post(`/api/${kind}s`, body(values), key);
      dispatchNow({ type: "plans", [`${kind}s`]: [fresh] });
      toast(`${known ? "Saved" : "Created"} ${bidiIsolate(fresh.name)}`);
      closeDialog(id);
      if (then) queueMicrotask(() => then(fresh));
    } catch (error) {
      if (known && error.status === 412) {
        const fresh = await get(`/api/${kind}s/${known.id}`);
        setKnown(fresh);
        dispatchNow({ type: "plans", [`${kind}s`]: [fresh] });
        error.hint = `It is now: ${fresh.name}. Save again to overwrite it.`;
      }
      throw error;
    }
  };
  return { ...form, onSubmit: form.submit(send) };
}

const BLANK_EPIC = { name: "", description: "", status: "ACTIVE" };

/** The form of a project. `intro` explains its purpose; `then` continues with the new project. */
export function ProjectForm(/** @type {ProjectFormProps} */ { id, project, intro, confirm = "Create project", then }) {
  const form = usePlanForm({
    id,
    kind: "project",
    item: project,
    initial: { name: project?.name ?? "", description: project?.description ?? "" },
    body: (values) => values,
    then,
  });
  return html`<${Dialog} id=${id} title=${project ? "Edit project" : "New project"} dirty=${form.dirty}>
    ${(close) => html`<form onSubmit=${form.onSubmit}>
      <div class="dialog-body">
        ${intro && html`<p>${intro}</p>`}
        <${FormError} error=${form.error} shown=${["name", "description"]} />
        <${Field} label="Name" ...${form.field("name")} required maxlength=${LIMITS.NAME_CHARACTERS} autofocus />
        <${Field} label="Description" kind="textarea" rows="4" ...${form.field("description")} />
      </div>
      <${FormFoot} onCancel=${close} busy=${form.busy} confirm=${project ? "Save" : confirm} /></form>`}
  <//>`;
}

function epicValues(/** @type {Epic | undefined} */ epic, /** @type {number | undefined} */ project) {
  const { project_id, name, description, status } = epic ?? { project_id: project, ...BLANK_EPIC };
  return { project_id: project_id ?? state.route.project ?? projectOptions()[0]?.[0] ?? "", name, description, status };
}

export function EpicForm(/** @type {{ id: number, epic?: Epic, project?: number }} */ { id, epic, project }) {
  const initial = epicValues(epic, project);
  const body = (/** @type {{ project_id: any }} */ { project_id: place, ...values }) =>
    (epic ? values : { ...values, project_id: Number(place) });
  const form = usePlanForm({ id, kind: "epic", item: epic, initial, body });
  return html`<${Dialog} id=${id} title=${epic ? "Edit epic" : "New epic"} dirty=${form.dirty}>
    ${(close) => html`<form onSubmit=${form.onSubmit}>
      <div class="dialog-body">
        <${FormError} error=${form.error} shown=${["name", "description", "status", "project_id"]} />
        ${!epic && html`<${Field} label="Project" kind="select" options=${projectOptions()}
            ...${form.field("project_id")} />`}
        <${Field} label="Name" ...${form.field("name")} required maxlength=${LIMITS.NAME_CHARACTERS} autofocus />
        <${Field} label="Description" kind="textarea" rows="3" ...${form.field("description")} />
        <${Field} label="Status" kind="select"
            options=${EPIC_STATUSES.map((status) => [status, EPIC_STATUS_NAMES[status]])} ...${form.field("status")} />
      </div>
      <${FormFoot} onCancel=${close} busy=${form.busy} confirm=${epic ? "Save" : "Create epic"} /></form>`}
  <//>`;
}
