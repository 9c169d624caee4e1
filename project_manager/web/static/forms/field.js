// Form fields with their errors, and the submission of a form.
import { html, useId, useState } from "../core/html.js";
import { Icon } from "../ui/icons.js";

/** @param {string} kind @param {object} common @param {(event: UiEvent) => void} set @param {Choice[]} [options] */
function inputOf(kind, common, set, options = []) {
  if (kind === "select") {
    return html`<select ...${common} onChange=${set}>
      ${options.map(([option, text]) => html`<option key=${option} value=${option}>${text}</option>`)}
    </select>`;
  }
  if (kind === "textarea") return html`<textarea dir="auto" ...${common} onInput=${set}></textarea>`;
  return html`<input type=${kind} dir=${kind === "text" ? "auto" : undefined} ...${common} onInput=${set} />`;
}

/** A labelled input. `kind` is a tag or an input type; `error` is the server's field error. */
/** @param {FieldProps} props */
export function Field({ label, name, kind = "text", value, onChange, error, hint, options, ...rest }) {
  const id = useId();
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  const invalid = error ? "true" : undefined;
  const common = { id, name, value, "aria-invalid": invalid, "aria-describedby": described, ...rest };
  const set = (/** @type {UiEvent} */ event) => onChange(event.target.value);
  return html`<div class="field ${error ? "invalid" : ""}"><label for=${id}>${label}</label>
    ${inputOf(kind, common, set, options)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}><${Icon} name="warn" />${error}</p>`}</div>`;
}

/**
 * Return the state of a form: its values, field errors, and the error without a field.
 * @template {Record<string, any>} Values
 */
export function useForm(/** @type {Values} */ initial) {
  const [values, setValues] = useState(initial);
  const [begun] = useState(() => JSON.stringify(initial));
  const [error, setError] = useState(/** @type {ApiFailure | null} */ (null));
  const [busy, setBusy] = useState(false);
  const field = (/** @type {string} */ name) => ({
    name,
    value: values[name],
    error: error?.fieldErrors?.[name],
    onChange: (/** @type {any} */ value) => setValues((old) => ({ ...old, [name]: value })),
  });
  const submit = (/** @type {(values: Values) => unknown} */ send) => async (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await send(values);
    } catch (failure) {
      if (failure.status === undefined) throw failure;
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return { values, setValues, dirty: JSON.stringify(values) !== begun, error, setError, busy, field, submit };
}

/** The error, unless all of its messages are shown at their fields. */
export function FormError(/** @type {FormErrorProps} */ { error, shown, children }) {
  if (!error) return null;
  const elsewhere = Object.entries(error.fieldErrors).filter(([name]) => !shown.includes(name));
  return html`<div class="form-error" role="alert" data-testid="form-error">
    <${Icon} name="warn" />
    <div>
      <p><b>${error.message}</b></p>
      ${error.hint && html`<p>${error.hint}</p>`}
      ${elsewhere.map(([name, text]) => html`<p key=${name}>${name}: ${text}</p>`)}
      ${children}
    </div>
  </div>`;
}

/** The buttons of a form. `children` are further buttons between Cancel and submit. */
export function FormFoot(/** @type {FormFootProps} */ { onCancel, busy, confirm, danger, focused, children }) {
  return html`<footer class="dialog-foot">
    <button type="button" onClick=${onCancel}>Cancel</button>
    ${children}
    <button type="submit" class=${danger ? "danger" : "primary"} disabled=${busy} autofocus=${focused}
        data-testid="save">
      ${busy ? "Saving…" : confirm}
    </button>
  </footer>`;
}
