// The fields of a task that people edit. The server describes them in the page (domain/task_fields.py).

const page = /** @type {HTMLElement} */ (document.getElementById("app"));

/** @type {TaskField[]} */
export const TASK_FIELDS = JSON.parse(String(page.dataset.taskFields));

/** @type {Record<string, TaskField>} */
export const FIELDS_BY_NAME = Object.fromEntries(TASK_FIELDS.map((field) => [field.name, field]));
