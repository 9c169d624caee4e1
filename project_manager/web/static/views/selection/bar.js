// The bar of actions on the selected tasks, at the bottom of a view.
import { count, plural } from "../../core/format.js";
import { html } from "../../core/html.js";
import { canWrite } from "../../core/vocabulary.js";
import { testOf } from "../../state/filters.js";
import {
  MAX_EDITED, clearSelection, keepFirst, matchingIds, selectMatching, selectedIds, selectedTasks,
} from "../../state/selection.js";
import { state, useStore, useThrottled } from "../../state/store.js";
import { Icon } from "../../ui/icons.js";
import { VIEWS } from "../views.js";
import {
  askAgent, askEpic, askLabels, askMoveMany, askPriority, cancelMany, choose, offerAgain,
} from "./choices.js";

/** @type {BarAction[]} */
const ACTIONS = [
  { id: "move", icon: "arrow", name: "Move", title: "Move to… (m)", act: askMoveMany },
  { id: "priority", icon: "flag", name: "Priority", title: "Priority… (p)", act: askPriority },
  { id: "labels", icon: "label", name: "Labels", title: "Labels… (l)", act: askLabels },
  { id: "epic", icon: "projects", name: "Epic", title: "Epic… (Shift E)", act: askEpic, wide: true },
  {
    id: "offer", icon: "refresh", name: "Offer again", title: "Offer again, without failed attempts", act: offerAgain,
    wide: true,
  },
  { id: "agent", icon: "agents", name: "Assign", title: "Offer first to an agent…", act: askAgent, wide: true },
  { id: "cancel", icon: "close", name: "Cancel tasks", act: cancelMany, wide: true },
];

const revisionOfTasks = (/** @type {State} */ now) => now.revision.tasks;

/** Return whether the user can select tasks in the present view. */
export const canSelect = (/** @type {State} */ now) =>
  Boolean(VIEWS[now.route.view].selects) && now.loaded && canWrite(now.session);

/** Return the number of selected tasks in the bar: that of tasks which the commands change, or 0. */
export const selectedCount = (/** @type {State} */ now) => (canSelect(now) ? now.selected.size : 0);

/** Return the number of selected tasks that the filters hide. */
function hiddenCount() {
  const test = testOf(state.route);
  return test ? selectedTasks().filter((task) => !test(task)).length : 0;
}

/** The number of selected tasks, and a button that selects the rest of the matching ones. */
function Count() {
  useStore((now) => now.route);
  useThrottled(revisionOfTasks);
  const size = state.selected.size;
  const hidden = hiddenCount();
  const matching = matchingIds().length;
  return html`<p class="selection-count">
      <b data-testid="selected-count">${count(size)} selected</b>
      ${hidden > 0 && html`<span class="muted" data-testid="selected-hidden">
        ${hidden === size ? "hidden by the filters" : `${count(hidden)} hidden by the filters`}
      </span>`}
    </p>
    ${matching > size - hidden && html`<button type="button" class="quiet small" onClick=${selectMatching}
        data-testid="select-matching">Select all ${count(matching)} that match</button>`}`;
}

/** Shown in place of the actions when more tasks are selected than one request can change. */
function TooMany() {
  return html`<p class="selection-limit" data-testid="too-many">
      <${Icon} name="warn" />At most ${MAX_EDITED} tasks can be changed at once. Narrow the filters, or keep
      the first ${MAX_EDITED}.
    </p>
    <button type="button" class="small" onClick=${keepFirst}>Keep ${MAX_EDITED}</button>`;
}

/** The actions on the selected tasks, as buttons. On a narrow page, the last button opens those without one. */
function Actions() {
  const busy = useStore((now) => now.editing);
  const button = (/** @type {BarAction} */ { id, icon, name, title, act, wide }) => html`<button key=${id} type="button"
      class=${wide ? "small wide-only" : "small"} disabled=${busy} title=${title} onClick=${() => act(selectedTasks())}
      data-testid=${`many-${id}`}><${Icon} name=${icon} />${name}</button>`;
  const more = () => choose("Change the selected tasks", ACTIONS.map(({ id, icon, name, title, act }) => ({
    id, icon, name: title ?? name, run: () => act(selectedTasks()),
  })), { none: true });
  return html`<div class="selection-actions" role="group" aria-label="Change the selected tasks">
    ${ACTIONS.map(button)}
    <button type="button" class="small narrow-only" disabled=${busy} onClick=${more}
        aria-label="More changes" data-testid="many-more"><${Icon} name="more" /></button>
  </div>`;
}

function Bar() {
  const { size } = useStore(selectedIds);
  return html`<section class="selection-bar" aria-label="Selected tasks" data-testid="selection-bar">
    <${Count} />
    <span class="push"></span>
    ${size > MAX_EDITED ? html`<${TooMany} />` : html`<${Actions} />`}
    <button type="button" class="quiet icon-button" aria-label="Clear the selection" title="Clear the selection (Esc)"
        onClick=${clearSelection} data-testid="clear-selection"><${Icon} name="close" /></button>
  </section>`;
}

/** The bar, while tasks are selected, and the message about their number for screen readers. */
export function SelectionBar() {
  const able = useStore(canSelect);
  const size = useStore(selectedCount);
  return able && html`<span class="sr" role="status" data-testid="selection-status">
      ${size > 0 && `${plural(size, "task")} selected`}
    </span>
    ${size > 0 && html`<${Bar} />`}`;
}
