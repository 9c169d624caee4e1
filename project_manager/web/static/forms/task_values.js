// Conversion between a task and its form values.
import { dueFromInputs, dueInputs } from "../core/due.js";
import { fromLocalInput, toLocalInput } from "../core/format.js";
import { TASK_FIELDS } from "../core/task_fields.js";
import { labelsOf, labelsText } from "./labels.js";

const lines = (/** @type {string} */ text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const numberOrNull = (/** @type {string | number} */ text) => (String(text).trim() === "" ? null : Number(text));
/** @type {Conversion} */
const number = { toInput: (value) => value ?? "", toValue: numberOrNull };

/**
 * For each kind of field, the input of a value, and the value of an input.
 * @type {Record<string, Conversion>}
 */
const CONVERSIONS = {
  line: {
    toInput: (value) => value ?? "",
    toValue: (text, { required }) => text.trim() || (required ? "" : null),
  },
  text: { toInput: (value) => value ?? "", toValue: (text) => text },
  lines: { toInput: (value) => (value ?? []).join("\n"), toValue: lines },
  labels: { toInput: (value) => labelsText(value ?? []), toValue: labelsOf },
  priority: { toInput: (value) => String(value ?? 2), toValue: Number },
  epic: number,
  integer: number,
  minutes: number,
  tasks: { toInput: (value) => value ?? [], toValue: (ids) => ids },
  instant: { toInput: toLocalInput, toValue: fromLocalInput },
  due: { toInput: dueInputs, toValue: dueFromInputs },
};

/** @returns {TaskValues} */
export function formOf(/** @type {Record<string, any>} */ task) {
  const inputs = TASK_FIELDS.map(({ name, kind }) => [name, CONVERSIONS[kind].toInput(task[name])]);
  return { project_id: task.project_id ?? "", status: task.status ?? "TODO", ...Object.fromEntries(inputs) };
}

/** @returns {Record<string, unknown>} */
function requestBody(/** @type {TaskValues} */ form) {
  const values = TASK_FIELDS.map((field) => [field.name, CONVERSIONS[field.kind].toValue(form[field.name], field)]);
  return Object.fromEntries(values);
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
