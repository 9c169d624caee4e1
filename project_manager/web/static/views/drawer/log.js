// The log of a task, newest first, with a box to add to it.
import { draftOf, saveDraft } from "../../core/drafts.js";
import { html, useEffect, useState } from "../../core/html.js";
import { onKeys } from "../../core/keyboard.js";
import { LOG_KINDS, LOG_KIND_NAMES, canWrite, logText } from "../../core/vocabulary.js";
import { addLog } from "../../state/actions.js";
import { kindOf } from "../../state/actors.js";
import { useStore } from "../../state/store.js";
import { readDetails } from "../../state/task_details.js";
import { showError } from "../../state/toasts.js";
import { Avatar, RelativeTime } from "../../ui/chips.js";
import { Collapsible } from "../../ui/collapsible.js";
import { EvidenceValues } from "../../ui/evidence.js";
import { Markdown } from "../../ui/markdown.js";

function Entry(/** @type {{ entry: LogView, task: Task }} */ { entry, task }) {
  return html`<li class=${`entry k-${entry.kind}`} data-testid="log-entry">
    <${Avatar} id=${entry.author} kind=${entry.kind === "system" ? "system" : kindOf(entry.author)} />
    <div class="entry-body">
      <p class="entry-head">
        <b><bdi>${entry.author}</bdi></b>
        <span class="kind">${LOG_KIND_NAMES[entry.kind]}</span>
        <span class="muted"><${RelativeTime} at=${entry.created_at} /></span>
      </p>
      <${Collapsible}><${Markdown} text=${logText(entry)} /><//>
      ${entry.evidence && html`<${EvidenceValues} fields=${entry.evidence} criteria=${task.acceptance} />`}
    </div>
  </li>`;
}

function Composer(/** @type {{ task: Task, onAdded: (entry: LogView) => void }} */ { task, onAdded }) {
  const [{ body, kind }, setDraft] = useState(() => draftOf(task.id));
  const [busy, setBusy] = useState(false);
  const change = (/** @type {Partial<Draft>} */ part) => setDraft((/** @type {Draft} */ old) => {
    const draft = { ...old, ...part };
    saveDraft(task.id, draft);
    return draft;
  });
  const send = async (/** @type {UiEvent} */ event) => {
    event.preventDefault();
    if (!body.trim() || busy) return;
    setBusy(true);
    try {
      onAdded(await addLog(task, kind, body));
      change({ body: "" });
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  const onKeyDown = onKeys((event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) send(event);
    // Leave the box, not the task, so that the typed text stays visible.
    if (event.key === "Escape" && body.trim()) {
      event.preventDefault();
      event.target.closest(".drawer").focus();
    }
  });
  return html`<form class="composer" onSubmit=${send}>
    <label>
      <span class="sr">Add to the log</span>
      <textarea rows="2" dir="auto" placeholder="Add to the log… (Markdown)" value=${body}
          onInput=${(event) =>
            change({ body: event.target.value })} onKeyDown=${onKeyDown} data-testid="log-body"></textarea>
    </label>
    <div class="row">
      <label class="choice">
        <span class="sr">Kind</span>
        <select value=${kind} onChange=${(event) => change({ kind: event.target.value })}>
          ${LOG_KINDS.map((name) => html`<option key=${name} value=${name}>${LOG_KIND_NAMES[name]}</option>`)}
        </select>
      </label>
    <span class="push"></span>
      <button type="submit" class="primary" disabled=${busy || !body.trim()}>Add</button>
    </div>
  </form>`;
}

// The description follows the log: more entries would push it out of view.
const SHOWN = 3;

/** Return entries newest first, without duplicates. */
function merged(/** @type {LogView[]} */ old, /** @type {LogView[]} */ entries) {
  const all = new Map([...old, ...entries].map((entry) => [entry.id, entry]));
  return [...all.values()].sort((a, b) => b.id - a.id);
}

/** The visible entries. `entries` is null until they are read. */
/** @param {{ task: Task, entries: LogView[] | null, shown: LogView[], failed: boolean }} props */
function Entries({ task, entries, shown, failed }) {
  if (entries === null) return failed ? null : html`<p class="muted">Reading…</p>`;
  if (entries.length === 0) return html`<p class="muted log-empty">No log entries yet</p>`;
  return html`<ol class="log">
    ${shown.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} task=${task} />`)}
  </ol>`;
}

export function Log(/** @type {{ task: Task }} */ { task }) {
  const writer = useStore((state) => canWrite(state.session));
  const isLogged = (/** @type {OutboxEvent} */ event) => event.task_id === task.id && event.type === "task.logged";
  const latestSeq = useStore((state) => state.events.findLast(isLogged)?.seq ?? 0);
  const [entries, setEntries] = useState(/** @type {LogView[] | null} */ (null));
  const [before, setBefore] = useState(/** @type {number | null} */ (null));
  const [failed, setFailed] = useState(false);
  const [whole, setWhole] = useState(false);
  const read = async (/** @type {number | undefined} */ from = undefined) => {
    try {
      const { logs, logs_before: earlier } = await readDetails(task.id, from);
      // Entries may be missing between these and the known ones, if many arrived while the page was offline.
      const isApart = !from && earlier !== null && !logs.some(({ id }) => entries?.some((entry) => entry.id === id));
      setEntries((old) => (isApart ? logs : merged(old ?? [], logs)));
      setFailed(false);
      if (from || isApart || before === null) setBefore(earlier);
    } catch (error) {
      showError(error);
      setFailed(true);
    }
  };
  useEffect(() => {
    read();
  }, [task.id, latestSeq]);
  const all = entries ?? [];
  const shown = whole ? all : all.slice(0, SHOWN);
  const hidden = all.length - shown.length;
  return html`${writer && html`<${Composer} task=${task}
      onAdded=${(entry) => setEntries((old) => merged(old ?? [], [entry]))} />`}
    ${failed && html`<p class="row">
      The log could not be read. <button type="button" class="small" onClick=${() => read()}>Try again</button>
    </p>`}
    <${Entries} task=${task} entries=${entries} shown=${shown} failed=${failed} />
    ${hidden > 0 && html`<button type="button" class="quiet" onClick=${() => setWhole(true)} data-testid="log-more">
      Show ${hidden} older
    </button>`}
    ${hidden === 0
      && before
      && html`<button type="button" class="quiet" onClick=${() => read(before)}>Older entries</button>`}`;
}
