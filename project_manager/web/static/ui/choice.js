// A select element for a part of the address, such as a filter.
import { html } from "../core/html.js";
import { navigate } from "../state/route.js";

/** A filter. Its first choice removes the filter. By default it sets the part `name` of the address. */
export function Choice(/** @type {ChoiceProps} */ { label, name, value, options, any, onChange, testid }) {
  const change = onChange ?? ((/** @type {string | null} */ chosen) =>
    navigate({ [name]: chosen, ...(name === "project" ? { epic: null } : {}) }));
  const missing = value && !options.some(([option]) => String(option) === String(value));
  return html`<label class="choice ${value ? "active" : ""}"><span class="sr">${label}</span>
    <select value=${value ?? ""} onChange=${(/** @type {UiEvent} */ event) => change(event.target.value || null)}
        data-testid=${testid ?? `filter-${name}`}>
      <option value="">${any}</option>
      ${options.map(([option, text]) => html`<option key=${option} value=${option}>${text}</option>`)}
      ${missing && html`<option value=${value}>${value}</option>`}
    </select></label>`;
}
