// The errors of a plan, each with its position and the line of the file.
import { count, plural } from "../../core/format.js";
import { html, useMemo } from "../../core/html.js";

const SHOWN = 50;
const BEFORE = 40;
const AFTER = 60;

/** Return the parts of the line around a column, both counted from 1, or null if the file has no such line. */
function excerpt(/** @type {string[]} */ lines, /** @type {PlanError} */ { line, column }) {
  const text = lines[line - 1];
  if (text === undefined) return null;
  const at = Math.min(Math.max(column - 1, 0), text.length);
  const [token] = text.slice(at, at + AFTER).match(/^[^\s:,\]}]+|^\S/) ?? [" "];
  const start = Math.max(0, at - BEFORE);
  const rest = text.slice(at + token.length, at + AFTER);
  return {
    before: (start ? "…" : "") + text.slice(start, at),
    token,
    after: rest + (text.length > at + AFTER ? "…" : ""),
  };
}

function PlanErrorRow(/** @type {{ error: PlanError, lines: string[] }} */ { error, lines }) {
  const found = error.line ? excerpt(lines, error) : null;
  return html`<li data-testid="plan-error">
    <p>
      ${error.line && html`<b>Line ${count(error.line)}, column ${count(error.column)}</b>: `}<span
          dir="auto">${error.message}</span>${error.hint && html` <span class="muted">${error.hint}</span>`}
    </p>
    ${found && html`<pre class="plan-line"><span class="key">${error.line}</span>${" "}${found.before}<mark>${
        found.token}</mark>${found.after}</pre>`}
  </li>`;
}

export function PlanErrors(/** @type {{ error: ApiFailure, bytes: ArrayBuffer | null }} */ { error, bytes }) {
  const lines = useMemo(() => (bytes ? new TextDecoder().decode(bytes).split(/\r\n|\r|\n/) : []), [bytes]);
  /** @type {PlanError[]} */
  const errors = error.details.errors ?? [];
  if (errors.length === 0) {
    return html`<div class="form-error" role="alert" data-testid="import-error"><div>
      <p><b>${error.message}</b></p>
      ${error.hint && html`<p>${error.hint}</p>`}
    </div></div>`;
  }
  const total = error.details.total ?? errors.length;
  return html`<div role="alert" data-testid="import-error">
    <p><b>${plural(total, "error")}.</b> Nothing was written. Correct the file and choose it again.</p>
    <ul class="plan-errors">
      ${errors.slice(0, SHOWN).map((found, index) => html`<${PlanErrorRow} key=${index} error=${found}
          lines=${lines} />`)}
    </ul>
    ${total > SHOWN && html`<p class="muted">and ${count(total - SHOWN)} more</p>`}
  </div>`;
}
