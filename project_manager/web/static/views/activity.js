// The list of events.
import { html, useEffect, useMemo, useState } from "../core/html.js";
import { projectOptions } from "../state/options.js";
import { state, useStore } from "../state/store.js";
import { loadAgents, loadHistory } from "../state/sync.js";
import { showError } from "../state/toasts.js";
import { Empty } from "../ui/chips.js";
import { EventRow, isRedundant } from "../ui/event_row.js";
import { Icon } from "../ui/icons.js";
import { Choice } from "./board/filter_bar.js";

const SHOWN = 150;
const KINDS = [
  ["", "Important"],
  ["moves", "Status changes"],
  ["leases", "Leases"],
  ["logs", "Log entries"],
  ["plans", "Plan changes"],
  ["all", "Every event"],
];
/** @type {Record<string, (event: OutboxEvent) => boolean>} */
const TESTS = {
  all: () => true,
  moves: (event) => event.type === "task.status_changed",
  leases: (event) => event.type === "task.locked" || event.type === "task.unlocked",
  logs: (event) => event.type === "task.logged",
  plans: (event) => /created|updated|deleted|archived|import/.test(event.type),
};

/** Return the visible events, newest first. While the list is paused, it ends at event number `frozen`. */
function chosen(/** @type {string} */ kind, /** @type {number | null} */ project, /** @type {number} */ frozen) {
  const found = [];
  for (let index = state.events.length - 1; index >= 0 && found.length < SHOWN; index -= 1) {
    const event = state.events[index];
    const wanted = kind ? TESTS[kind](event) : !isRedundant(event, state.events[index - 1], state.events[index + 1]);
    if (wanted && (!frozen || event.seq <= frozen) && (!project || event.project_id === project)) found.push(event);
  }
  return found;
}

export function Activity() {
  const revision = useStore((now) => now.revision.events);
  const project = useStore((now) => now.route.project);
  useStore((now) => now.revision.plans + now.revision.agents);
  const [kind, setKind] = useState("");
  const [frozen, setFrozen] = useState(0);
  useEffect(() => {
    loadHistory().catch(showError);
    loadAgents().catch(showError);
  }, []);
  const events = useMemo(() => chosen(kind, project, frozen), [revision, kind, project, frozen]);
  const waiting = frozen ? state.seq - frozen : 0;
  return html`<section class="page" aria-labelledby="page-title">
    <div class="page-head">
      <h1 id="page-title">Activity</h1>
      <span class="push"></span>
      <${Choice} label="Project" name="project" value=${project} options=${projectOptions()} any="All projects" />
      <label class="choice">
        <span class="sr">Kind of event</span>
        <select value=${kind} onChange=${(event) => setKind(event.target.value)}>
          ${KINDS.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
        </select>
      </label>
      <button type="button" aria-pressed=${Boolean(frozen)} onClick=${() => setFrozen(frozen ? 0 : state.seq)}>
        ${frozen ? `Resume (${waiting} new)` : "Pause"}
      </button>
    </div>
    ${events.length
      ? html`<ol class="events" data-testid="activity">
        ${events.map((event) => html`<${EventRow} key=${event.seq} event=${event} />`)}
      </ol>`
      : html`<${Empty} title="No events yet"><p><${Icon} name="activity" /> Events appear here as they happen.</p><//>`}
  </section>`;
}
