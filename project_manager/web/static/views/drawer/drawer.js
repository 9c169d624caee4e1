// The panel of one task, beside the board.
import { cx, html, useEffect, useRef, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { canWrite } from "../../core/vocabulary.js";
import { closeTask } from "../../state/route.js";
import { state, useStore } from "../../state/store.js";
import { readTask } from "../../state/sync.js";
import { TaskLink } from "../../ui/chips.js";
import { Collapsible } from "../../ui/collapsible.js";
import { Icon } from "../../ui/icons.js";
import { Assumptions, TaskKnowledge } from "../../ui/knowledge.js";
import { Markdown } from "../../ui/markdown.js";
import { returnFocus } from "../board/column.js";
import { Bar } from "./bar.js";
import { Facts } from "./facts.js";
import { Head } from "./head.js";
import { History } from "./history.js";
import { Log } from "./log.js";
import { TaskMessages } from "./messages.js";
import { Criteria, Submission } from "./review.js";
import { Subtasks } from "./subtasks.js";
import { useHistory } from "./times.js";

function Links(/** @type {{ title: string, ids: number[] }} */ { title, ids }) {
  if (ids.length === 0) return null;
  return html`<section>
    <h3>${title}</h3>
    <ul class="links">${ids.map((id) => html`<li key=${id}><${TaskLink} id=${id} /></li>`)}</ul>
  </section>`;
}

/** Space between the drawer and the card that it would cover. */
const SPACE = 12;

const TABS = [["log", "Log", "log"], ["history", "History", "history"]];

function Tabs(/** @type {{ task: Task }} */ { task }) {
  const [tab, setTab] = useState("log");
  const onKeyDown = onKeys((event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = tab === "log" ? "history" : "log";
    setTab(other);
    document.getElementById(`tab-${other}`)?.focus();
  });
  return html`<section>
    <div class="tabs" role="tablist" aria-label="Log and history" onKeyDown=${onKeyDown}>
      ${TABS.map(([id, name, icon]) => html`<button key=${id} type="button" id=${`tab-${id}`} role="tab" class="tab"
          aria-selected=${tab === id} aria-controls="tab-panel" tabindex=${tab === id ? 0 : -1}
          onClick=${() => setTab(id)}><${Icon} name=${icon} />${name}</button>`)}
    </div>
    <div id="tab-panel" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
      ${tab === "log" ? html`<${Log} key=${task.id} task=${task} />` : html`<${History} key=${task.id} task=${task} />`}
    </div>
  </section>`;
}

function Description(/** @type {{ task: Task }} */ { task }) {
  const [failure, setFailure] = useState(/** @type {ApiFailure | null} */ (null));
  const shortened = Boolean(task.description_truncated);
  useEffect(() => {
    setFailure(null);
    if (shortened) readTask(task.id).catch(setFailure);
  }, [task.id, task.version, shortened]);
  if (!task.description) return html`<p class="muted">No description.</p>`;
  return html`<${Collapsible}><${Markdown} text=${task.description} /><//>
    ${shortened && html`<p class="muted">
      ${failure ? `The rest could not be read. ${failure.message}` : "Reading the rest…"}
    </p>`}`;
}

/** One column, or two on a page: the work on the left, what belongs to it on the right. */
function Body(/** @type {{ task: Task }} */ { task }) {
  const history = useHistory(task);
  const dependents = [...(state.dependents.get(task.id) ?? [])];
  const conflicts = new Set([...task.conflicts_with, ...(state.conflicts.get(task.id) ?? [])]);
  return html`<div class="drawer-body" tabindex="-1">
    <div class="drawer-main">
      <${Head} task=${task} history=${history} />
      <${Submission} task=${task} history=${history} />
      <${Tabs} task=${task} />
      <section data-testid="description"><h3>Description</h3><${Description} task=${task} /></section>
      <${Criteria} task=${task} />
    </div>
    <div class="drawer-side">
      <${TaskMessages} task=${task} />
      <${Subtasks} task=${task} />
      <${Links} title="Waits for" ids=${task.depends_on} />
      <${Links} title="Unblocks" ids=${dependents} />
      <${Links} title="Never at the same time as" ids=${[...conflicts]} />
      <${Assumptions} task=${task} />
      <${TaskKnowledge} task=${task} />
      <${Facts} task=${task} />
    </div>
  </div>`;
}

function LoadFailed(/** @type {{ id: number, failure: ApiFailure }} */ { id, failure }) {
  const title = failure.status === 404 ? `Task #${id} not found` : failure.message;
  return html`<div role="alert"><h2>${title}</h2><p class="muted">${failure.hint}</p></div>
    <div><button type="button" class="primary" onClick=${closeTask}>Close</button></div>`;
}

function Missing(/** @type {{ id: number }} */ { id }) {
  const [failure, setFailure] = useState(/** @type {ApiFailure | null} */ (null));
  useEffect(() => {
    readTask(id).catch(setFailure);
  }, [id]);
  return html`<header class="drawer-bar">
    <span class="key">#${id}</span>
    <span class="push"></span>
    <button type="button" class="quiet icon-button close" aria-label="Close task" onClick=${closeTask}>
      <${Icon} name="close" />
    </button>
  </header>
    <div class="drawer-body">
      ${failure ? html`<${LoadFailed} id=${id} failure=${failure} />` : html`<p class="muted">Reading…</p>`}
    </div>`;
}

/** Scroll the columns of the board if the drawer covers the card of its task. Other cards stay where they are. */
function uncoverCard(/** @type {number} */ id, /** @type {HTMLElement} */ drawer) {
  const card = document.querySelector(`.column-scroll [data-task="${id}"]`);
  const beyond = card ? card.getBoundingClientRect().right - drawer.getBoundingClientRect().left : 0;
  if (beyond > 0) card?.closest(".columns")?.scrollBy({ left: beyond + SPACE, behavior: "instant" });
}

/** Focus the drawer when it opens, and return the focus to the card when it closes. */
function useFocus(/** @type {number} */ id) {
  const element = useRef(null);
  useEffect(() => {
    element.current.focus({ preventScroll: true });
    if (!state.route.full) uncoverCard(id, element.current);
    return () => returnFocus(id);
  }, [id]);
  return element;
}

export function Drawer(/** @type {{ id: number }} */ { id }) {
  useStore((now) => now.revision.tasks + now.revision.plans);
  const writer = useStore((now) => canWrite(now.session));
  const full = useStore((now) => Boolean(now.route.full));
  const overBoard = useStore((now) => now.route.view === "board");
  const element = useFocus(id);
  const task = state.tasks.get(id);
  const kind = cx("drawer", full && "full", overBoard && "above-board", task?.lock && "held");
  return html`<aside id="task" class=${kind} ref=${element} tabindex="-1"
      aria-label=${`Task ${id}${task ? `: ${task.name}` : ""}`} data-testid="drawer">
    ${full && html`<h1 class="sr">Task ${id}</h1>`}
    ${task ? html`<${Bar} task=${task} writer=${writer} /><${Body} task=${task} />` : html`<${Missing} id=${id} />`}
  </aside>`;
}
