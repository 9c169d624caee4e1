// Conversion between a task and its form values.
import { dueFromInputs, dueInputs } from "../core/due.js";
import { fromLocalInput, toLocalInput } from "../core/format.js";
import { labelsOf, labelsText } from "./labels.js";

const lines = (/** @type {string} */ text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const numberOrNull = (/** @type {string | number} */ text) => (String(text).trim() === "" ? null : Number(text));

/** @template Value @returns {Value | ""} */
const orEmpty = (/** @type {Value | null | undefined} */ value) => value ?? "";

/** @returns {TaskValues} */
export function formOf(/** @type {Partial<Task>} */ task) {
  return {
    project_id: orEmpty(task.project_id),
    epic_id: orEmpty(task.epic_id),
    name: orEmpty(task.name),
    description: orEmpty(task.description),
    status: task.status ?? "TODO",
    priority: String(task.priority ?? 2),
    labels: labelsText(task.labels ?? []),
    acceptance: (task.acceptance ?? []).join("\n"),
    depends_on: task.depends_on ?? [],
    conflicts_with: task.conflicts_with ?? [],
    defer_until: toLocalInput(task.defer_until),
    due_at: dueInputs(task.due_at),
    estimate_minutes: orEmpty(task.estimate_minutes),
    external_key: orEmpty(task.external_key),
  };
}

function requestBody(/** @type {TaskValues} */ form) {
  return {
    epic_id: numberOrNull(form.epic_id),
    name: form.name.trim(),
    description: form.description,
    priority: Number(form.priority),
    labels: labelsOf(form.labels),
    acceptance: lines(form.acceptance),
    depends_on: form.depends_on,
    conflicts_with: form.conflicts_with,
    defer_until: fromLocalInput(form.defer_until),
    due_at: dueFromInputs(form.due_at),
    estimate_minutes: numberOrNull(form.estimate_minutes),
    external_key: form.external_key.trim() || null,
  };
}

const same = (/** @type {unknown} */ a, /** @type {unknown} */ b) => JSON.stringify(a) === JSON.stringify(b);

/** Return only the changed fields, so that changes by others to other fields are kept. */
export function changesOf(/** @type {TaskValues} */ before, /** @type {TaskValues} */ form) {
  /** @type {Record<string, unknown>} */
  const from = requestBody(before);
  return Object.fromEntries(Object.entries(requestBody(form)).filter(([name, value]) => !same(value, from[name])));
}

/** Return the fields of a new task without the empty ones. */
export function creationOf(/** @type {TaskValues} */ form) {
  const isEmpty = (/** @type {any} */ value) =>
    value === null || value === "" || (Array.isArray(value) && value.length === 0);
  const filled = Object.entries(requestBody(form)).filter(([, value]) => !isEmpty(value));
  return { ...Object.fromEntries(filled), project_id: Number(form.project_id), status: form.status };
}

/** @type {Record<string, string>} */
export const FIELD_NAMES = {
  epic_id: "Epic",
  name: "Name",
  description: "Description",
  priority: "Priority",
  labels: "Labels",
  acceptance: "Done when",
  depends_on: "Waits for",
  conflicts_with: "Never at the same time as",
  defer_until: "Not before",
  due_at: "Due",
  estimate_minutes: "Estimate",
  external_key: "Your key",
};
