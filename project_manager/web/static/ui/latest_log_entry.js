// The latest log entry of a task, often a question that waits for an answer.
import { html } from "../core/html.js";
import { logText } from "../core/vocabulary.js";
import { useDetails } from "../state/task_details.js";
import { RelativeTime } from "./chips.js";
import { PlainWithLinks } from "./markdown.js";

// Longer text is clipped by the style sheet.
const LONGEST = 2000;

/** Return the newest entry of an agent or a person, else the newest one of the system, else null. */
export function latestOf(/** @type {LogView[]} */ logs) {
  const entries = [...logs].sort((a, b) => b.id - a.id);
  return entries.find((log) => log.kind !== "system") ?? entries[0] ?? null;
}

/** Return the text of an entry. Evidence often has only its fields. */
function textOf(/** @type {LogView} */ entry) {
  const text = logText(entry);
  if (text || !entry.evidence) return text;
  const { command, exit_code: exitCode, commit, url } = entry.evidence;
  const result = command && exitCode !== null ? `${command} (exit code ${exitCode})` : command;
  return ["Evidence", [result, commit, url].filter(Boolean).join(", ")].filter(Boolean).join(": ");
}

/** The latest log entry. Renders nothing before it is read or if reading fails. `fixed` keeps the visible entry. */
export function LatestLogEntry(/** @type {{ task: Task, fixed?: boolean }} */ { task, fixed = false }) {
  const details = useDetails(task, fixed);
  const entry = details && latestOf(details.logs);
  if (!entry) return null;
  return html`<p class="latest-log-entry" data-testid="latest-log-entry">
    <b>
      <bdi>${entry.author}</bdi>
    </b> <span class="muted">
      <${RelativeTime} at=${entry.created_at} />
    </span> <span class="last-report" dir="auto"><${PlainWithLinks} text=${textOf(entry).slice(0, LONGEST)} /></span>
  </p>`;
}
