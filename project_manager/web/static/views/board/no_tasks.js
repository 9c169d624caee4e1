// Shown on the board and the table when they have no task.
import { plural } from "../../core/format.js";
import { html } from "../../core/html.js";
import { canWrite } from "../../core/vocabulary.js";
import { openDialog } from "../../state/dialogs.js";
import { clearFilters, isFiltered } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { Empty } from "../../ui/chips.js";
import { StartCards } from "../setup/start_cards.js";

/** Shown when no task passes the filters, with a button that clears them. */
function NoMatch(/** @type {{ route: Route }} */ { route }) {
  const search = () => document.getElementById("search")?.focus();
  const clear = () => {
    clearFilters();
    search();
  };
  if (isFiltered(route)) {
    return html`<${Empty} title="No task matches">
      <p>${plural(state.tasks.size, "task")} in all.</p>
      <button type="button" class="primary" onClick=${clear} data-testid="clear-filters">Clear the filters</button>
    <//>`;
  }
  if (!route.project) {
    return html`<${Empty} title="No open project has a task">
      <p>Choose an archived project above to see its tasks.</p>
    <//>`;
  }
  return html`<${Empty} title="No task in this project">
    ${canWrite(state.session) && html`<button type="button" class="primary" onClick=${() => openDialog("task", {})}>
      New task
    </button>`}
  <//>`;
}

/** The sentence for a view without tasks, with the action that helps. */
export function NoTasks() {
  const route = useStore((now) => now.route);
  return state.tasks.size === 0 ? html`<${StartCards} />` : html`<${NoMatch} route=${route} />`;
}
