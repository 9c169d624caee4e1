// The submissions of a task with their reviews as rounds, newest first, and the changes between them.
import { html, useState } from "../../core/html.js";
import { useDetails } from "../../state/task_details.js";
import { readRounds } from "../../state/reviews.js";
import { contentsOf } from "../../state/task_history.js";
import { showError } from "../../state/toasts.js";
import { SubmissionBody, evidenceLine } from "../../ui/evidence.js";
import { Changes } from "./difference.js";

/** Return the submissions of the task, or null before they are read, and the function that reads them. */
function useRounds(/** @type {Task} */ task) {
  const [rounds, setRounds] = useState(/** @type {SubmissionView[] | null} */ (null));
  return { rounds, read: () => readRounds(task.id).then(setRounds, showError) };
}

/** Return the evidence of the task as lines, by the ids of its log entries. */
function evidenceEntries(/** @type {TaskDetails | null} */ details) {
  const found = new Map();
  for (const { index, evidence } of details?.criteria ?? []) {
    const place = index === null ? "" : `${index + 1}. `;
    for (const entry of evidence) found.set(entry.log_id, place + evidenceLine(entry));
  }
  return found;
}

/** The changes since the round before, built when they are opened. */
/** @param {{ after: Round, before: Round | null, entries: Map<number, string>, onOpen?: () => void }} props */
function Since({ after, before, entries, onOpen }) {
  const [open, setOpen] = useState(false);
  const onToggle = (/** @type {UiEvent} */ { target }) => {
    setOpen(target.open);
    if (target.open) onOpen?.();
  };
  return html`<details class="since" onToggle=${onToggle} data-testid="since">
    <summary>Changed since round ${after.submission.round - 1}</summary>
    ${open && (before
      ? html`<${Changes} before=${before} after=${after} entries=${entries} />`
      : html`<p class="muted">Reading…</p>`)}
  </details>`;
}

/** The rounds before `newest`, and the changes in each. Reading starts when a part is opened. */
/** @param {{ task: Task, newest: SubmissionView, history: TaskHistory | null }} props */
export function Rounds({ task, newest, history }) {
  const { rounds, read } = useRounds(task);
  const details = useDetails(task);
  const contents = history && !task.description_truncated ? contentsOf(history.events, task) : new Map();
  const entries = evidenceEntries(details);
  const roundOf = (/** @type {SubmissionView | undefined} */ submission) =>
    submission && { submission, content: contents.get(submission.id) ?? null };
  const onOpen = () => {
    if (!rounds) read();
  };
  const earlier = rounds?.filter(({ id }) => id !== newest.id);
  const before = (/** @type {number} */ round) => roundOf(rounds?.find((one) => one.round === round - 1)) ?? null;
  return html`<${Since} after=${roundOf(newest)} before=${before(newest.round)} entries=${entries} onOpen=${onOpen} />
    <details class="rounds" onToggle=${(event) => event.target.open && onOpen()} data-testid="rounds">
      <summary>Earlier rounds</summary>
      ${earlier ? html`<ol class="submissions">
        ${earlier.map((submission) => html`<li key=${submission.id}>
          <${SubmissionBody} submission=${submission} />
          ${submission.round > 1 && html`<${Since} after=${roundOf(submission)} before=${before(submission.round)}
              entries=${entries} />`}
        </li>`)}
      </ol>` : html`<p class="muted">Reading…</p>`}
    </details>`;
}
