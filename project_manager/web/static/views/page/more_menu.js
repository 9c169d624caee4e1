// The menu of the commands without a button of their own, and of those that do not fit into a small bar.
import { html, useRef } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { canWrite, isOperator } from "../../core/vocabulary.js";
import { openDialog } from "../../state/dialogs.js";
import { pauseOf } from "../../state/pauses.js";
import { exportHref, openImport } from "../../state/plans.js";
import { signOut } from "../../state/session.js";
import { useStore } from "../../state/store.js";
import { cycleTheme } from "../../state/theme.js";
import { Avatar } from "../../ui/chips.js";
import { Icon } from "../../ui/icons.js";
import { askPause } from "./pauses.js";

function Entry(/** @type {MenuEntryProps} */ { icon, name, onClick, first = false, folded = false }) {
  return html`<li class=${folded ? "folded-only" : undefined}>
    <button type="button" class="quiet" onClick=${onClick} autofocus=${first}><${Icon} name=${icon} />${name}</button>
  </li>`;
}

function Download(/** @type {{ format: "yaml" | "json", onClick: () => void }} */ { format, onClick }) {
  return html`<li>
    <a class="button quiet" href=${exportHref(format)} onClick=${onClick}
        data-testid=${`export-${format}`}><${Icon} name="export" />Export all as ${format.toUpperCase()}</a>
  </li>`;
}

function Account(/** @type {{ actor: Actor }} */ { actor }) {
  return html`<li class="menu-account folded-only">
    <${Avatar} id=${actor.id} kind=${actor.kind} />
    <span><b><bdi>${actor.id}</bdi></b><br /><span class="muted">signed in, ${actor.role}</span></span>
  </li>`;
}

/** A popover: the browser closes it on an outside press and returns the focus. */
export function MoreMenu() {
  const menu = useRef(null);
  const session = useStore((state) => state.session);
  const operator = isOperator(session);
  useStore((state) => state.pauses);
  const then = (/** @type {() => void} */ act) => () => {
    menu.current.hidePopover();
    act();
  };
  const onKeyDown = onKeys((event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    menu.current.hidePopover();
  });
  return html`<div class="more-menu" onKeyDown=${onKeyDown}>
    <button type="button" class="quiet icon-button" popovertarget="more-menu" aria-label="More" title="More"
        data-testid="more"><${Icon} name="more" /></button>
    <ul id="more-menu" class="menu" popover="auto" ref=${menu}>
      ${session?.auth_required && html`<${Account} actor=${session.actor} />`}
      <${Entry} first folded icon="moon" name="Light, dark, or as the system" onClick=${cycleTheme} />
      <${Entry} icon="bell" name="Notices" onClick=${then(() => openDialog("notices", {}))} />
      <${Entry} folded icon="help" name="Keyboard shortcuts" onClick=${then(() => openDialog("help", {}))} />
      ${canWrite(session) && html`<${Entry} first icon="plug" name="Connect an agent"
          onClick=${then(() => openDialog("connect", {}))} />`}
      ${operator && html`<${Entry} icon="import" name="Import a plan" onClick=${then(() => openImport())} />`}
      <${Download} format="yaml" onClick=${then(() => {})} />
      <${Download} format="json" onClick=${then(() => {})} />
      ${operator && !pauseOf("all") && html`<${Entry} icon="pause" name="Pause all work"
          onClick=${then(() => askPause({ scope: "all" }, "Pause all work"))} />`}
      ${session?.auth_required && html`<${Entry} folded icon="out" name="Sign out" onClick=${signOut} />`}
    </ul></div>`;
}
