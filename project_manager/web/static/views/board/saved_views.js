// The menu of saved views: open, save, rename and delete them.
import { html, useState } from "../../core/html.js";
import { LIMITS } from "../../core/limits.js";
import { isOperator } from "../../core/vocabulary.js";
import { FormError, useForm } from "../../forms/field.js";
import { hrefOf, routeOf } from "../../state/route.js";
import { deleteView, openView, presentView, renameView, saveView, storeView } from "../../state/saved_views.js";
import { useStore } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { Icon } from "../../ui/icons.js";
import { Popover } from "../../ui/popover.js";

/** A form with one name. */
function NameForm(/** @type {NameFormProps} */ { label, initial = "", confirm, send, then, testid }) {
  const form = useForm({ name: initial });
  const submit = form.submit(async ({ name }) => {
    if ((await send(name.trim())) !== false) then();
  });
  const { value, onChange, error } = form.field("name");
  return html`<form class="view-form" onSubmit=${submit}>
    <label class="sr" for=${testid}>${label}</label>
    <input id=${testid} type="text" dir="auto" required maxlength=${LIMITS.VIEW_NAME_CHARACTERS}
        placeholder=${label} value=${value} autocomplete="off"
        onInput=${(/** @type {UiEvent} */ event) => onChange(event.target.value)}
        aria-invalid=${error ? "true" : undefined} data-testid=${testid} />
    <button type="submit" class="small primary" disabled=${form.busy || !value.trim()}>${confirm}</button>
    ${error && html`<p class="field-error" role="alert">${error}</p>`}
    <${FormError} error=${form.error} shown=${["name"]} />
  </form>`;
}

function Line(/** @type {SavedViewLineProps} */ { view, present, operator, close }) {
  const [renaming, setRenaming] = useState(false);
  if (renaming) {
    return html`<li><${NameForm} label="Name of the view" initial=${view.name} confirm="Rename" testid="rename-view"
        send=${(/** @type {string} */ name) => renameView(view, name)} then=${() => setRenaming(false)} /></li>`;
  }
  const open = (/** @type {UiEvent} */ event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    openView(view);
    close();
  };
  return html`<li class="view-line" data-testid="saved-view">
    <a href=${hrefOf({ ...routeOf(view.query), task: null })} aria-current=${present ? "true" : undefined}
        onClick=${open} title=${`Saved by ${view.author}`}>
      <${Icon} name=${present ? "check" : "bookmark"} />
      <span class="clip" dir="auto">${view.name}</span>
    </a>
    ${operator && html`<button type="button" class="quiet icon-button" aria-label=${`Rename the view ${view.name}`}
        onClick=${() => setRenaming(true)}><${Icon} name="edit" /></button>
      <button type="button" class="quiet icon-button" aria-label=${`Delete the view ${view.name}`}
        onClick=${() => deleteView(view)}><${Icon} name="trash" /></button>`}
  </li>`;
}

function Panel(/** @type {{ close: () => void }} */ { close }) {
  const views = useStore((now) => now.savedViews);
  useStore((now) => now.route);
  useStore((now) => now.openedView);
  const operator = useStore((now) => isOperator(now.session));
  const present = useStore((now) => presentView(now)?.view ?? null);
  const changed = useStore((now) => presentView(now)?.changed ?? false);
  return html`<div class="view-panel">
    ${views.length === 0 && html`<p class="muted">
      ${operator ? "Save the present filters under a name. All people see it." : "No view is saved yet."}
    </p>`}
    <ul>
      ${views.map((view) => html`<${Line} key=${view.id} view=${view} operator=${operator} close=${close}
          present=${view.id === present?.id && !changed} />`)}
    </ul>
    ${operator && present && changed && html`<button type="button" class="small" data-testid="update-view"
        onClick=${() => storeView(present).then(close, showError)}>
      <span class="clip">Update <bdi>${present.name}</bdi></span>
    </button>`}
    ${operator && html`<${NameForm} label="Save as…" confirm="Save" testid="save-view" send=${saveView}
        then=${close} />`}
  </div>`;
}

export function SavedViews() {
  const name = useStore((now) => presentView(now)?.view.name ?? null);
  const changed = useStore((now) => presentView(now)?.changed ?? false);
  return html`<${Popover} id="saved-views" icon="bookmark" name=${name ?? "Views"} testid="saved-views"
      label=${name ? `Saved views, now ${name}${changed ? ", changed" : ""}` : "Saved views"}
      active=${Boolean(name) && !changed} mark=${changed ? "changed" : ""}>
    ${(/** @type {() => void} */ close) => html`<${Panel} close=${close} />`}
  <//>`;
}
