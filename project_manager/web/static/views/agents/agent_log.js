// The log entries of an agent over all its tasks, as a stream.
import { get } from "../../core/api.js";
import { html, useCallback, useEffect, useState } from "../../core/html.js";
import { LOG_KIND_NAMES, logText } from "../../core/vocabulary.js";
import { isLive, state, useStore, useThrottled } from "../../state/store.js";
import { showError } from "../../state/toasts.js";
import { RelativeTime, TaskLink } from "../../ui/chips.js";
import { Collapsible } from "../../ui/collapsible.js";
import { EvidenceValues } from "../../ui/evidence.js";
import { Markdown } from "../../ui/markdown.js";

const READ = 20;
// A page searches a limited part of all logs, so it can be empty although older entries exist.
const PAGES_AT_ONCE = 5;

/** Return entries newest first, without duplicates. */
function merged(/** @type {LogView[]} */ old, /** @type {LogView[]} */ entries) {
  const all = new Map([...old, ...entries].map((entry) => [entry.id, entry]));
  return [...all.values()].sort((a, b) => b.id - a.id);
}

/** Read a page with entries, or the last of PAGES_AT_ONCE pages. Return { items, cursor }. Throw ApiError. */
async function readEntries(/** @type {string} */ agent, /** @type {string | null} */ cursor) {
  let next = cursor;
  for (let number = 0; number < PAGES_AT_ONCE; number += 1) {
    const page = await get(`/api/agents/${encodeURIComponent(agent)}/logs`, { limit: READ, cursor: next });
    next = page.next_cursor;
    if (page.items.length || !next) return { items: page.items, cursor: next };
  }
  return { items: [], cursor: next };
}

function Entry(/** @type {{ entry: LogView }} */ { entry }) {
  return html`<li class=${`agent-entry k-${entry.kind}`} data-testid="agent-log-entry">
    <p class="agent-entry-head">
      <${TaskLink} id=${entry.task_id} />
      <span class="tag">${LOG_KIND_NAMES[entry.kind] ?? entry.kind}</span>
      <span class="muted"><${RelativeTime} at=${entry.created_at} /></span>
    </p>
    <${Collapsible}><${Markdown} text=${logText(entry)} /><//>
    ${entry.evidence && html`<${EvidenceValues} fields=${entry.evidence}
        criteria=${state.tasks.get(entry.task_id)?.acceptance ?? []} />`}
  </li>`;
}

/** The newest entries of an agent, read again when it writes one and when the connection is back. */
export function AgentLog(/** @type {{ agent: string }} */ { agent }) {
  const isOwn = (/** @type {OutboxEvent} */ event) => event.type === "task.logged" && event.author === agent;
  const latest = useCallback((/** @type {State} */ now) => now.events.findLast(isOwn)?.seq ?? 0, [agent]);
  const latestSeq = useThrottled(latest, 1000);
  const live = useStore(isLive);
  const [entries, setEntries] = useState(/** @type {LogView[] | null} */ (null));
  const [older, setOlder] = useState(/** @type {string | null} */ (null));
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!live && entries) return undefined;
    let current = true;
    readEntries(agent, null).then(({ items, cursor }) => {
      if (!current) return;
      const isApart = entries && entries.length > 0 && !items.some(({ id }) => id <= entries[0].id);
      setEntries(isApart ? items : merged(entries ?? [], items));
      if (entries === null || isApart) setOlder(cursor);
    }).catch((error) => current && error.status !== 0 && showError(error));
    return () => {
      current = false;
    };
  }, [agent, latestSeq, live]);
  const readOlder = async () => {
    setBusy(true);
    try {
      const { items, cursor } = await readEntries(agent, older);
      setEntries((old) => merged(old ?? [], items));
      setOlder(cursor);
    } catch (error) {
      showError(error);
    }
    setBusy(false);
  };
  return html`<section class="agent-part" aria-labelledby="agent-log">
    <h2 id="agent-log">Log</h2>
    ${entries?.length === 0 && html`<p class="muted">
      ${older ? "No entries among the newest ones of all agents." : "No entries yet."}
    </p>`}
    ${entries === null && html`<p class="muted">Reading…</p>`}
    <ol class="agent-log" data-testid="agent-log">
      ${(entries ?? []).map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}
    </ol>
    ${older && html`<button type="button" class="quiet" disabled=${busy} onClick=${readOlder}>Older entries</button>`}
  </section>`;
}
