// The submission of a task in the list of tasks that need a person.
import { html, useState } from "../../core/html.js";
import { useDetails } from "../../state/task_details.js";
import { roundsWords } from "../../state/reviews.js";
import { waitingKindOf } from "../../state/waiting.js";
import { SubmissionHead, SubmissionValues, Verdict } from "../../ui/evidence.js";
import { latestOf } from "../../ui/latest_log_entry.js";
import { Markdown, PlainWithLinks } from "../../ui/markdown.js";
import { Criteria } from "../drawer/review.js";

/** A longer summary is cut until the reader opens it. */
const LONGEST = 320;

/** Return the number of criteria with evidence that counts. */
const metOf = (/** @type {CriterionView[]} */ criteria = []) =>
  criteria.filter(({ index, evidence }) => index !== null && evidence.some(({ counts }) => counts)).length;

/** The words on the closed evidence. */
function evidenceWords(/** @type {Task} */ task, /** @type {TaskDetails} */ { submission, criteria }) {
  const total = task.acceptance.length;
  const entries = submission?.evidence.length ?? 0;
  return [`Evidence ${entries || "none"}`, total > 0 && `${metOf(criteria)} of ${total} criteria`]
    .filter(Boolean).join(" · ");
}

/** The evidence by criterion, built when it is opened. */
function Evidence(/** @type {{ task: Task, details: TaskDetails }} */ { task, details }) {
  const [open, setOpen] = useState(false);
  return html`<details class="need-evidence" onToggle=${(event) => setOpen(event.target.open)}
      data-testid="need-evidence">
    <summary>${evidenceWords(task, details)}</summary>
    ${open && html`<div class="need-evidence-body"><${Criteria} task=${task} /></div>`}
  </details>`;
}

/** The summary, cut if it is long. The row shows the latest log entry too, so a summary in it is left out. */
function Summary(/** @type {{ text: string, logs: LogView[] }} */ { text, logs }) {
  const [open, setOpen] = useState(false);
  if (!text || latestOf(logs)?.body === text) return null;
  const long = text.length > LONGEST;
  const words = long ? `${text.slice(0, LONGEST).trimEnd()}…` : text;
  return html`<div class="need-summary" data-testid="need-summary">
    ${open ? html`<${Markdown} text=${text} />` : html`<p><${PlainWithLinks} text=${words} /></p>`}
    ${long && html`<button type="button" class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${open ? "Show less" : "Show all"}
    </button>`}
  </div>`;
}

/** The submission of a task in REVIEW: the facts for a verdict. Without a submission it renders nothing. */
export function NeedSubmission(/** @type {{ task: Task, fixed: boolean }} */ { task, fixed }) {
  const details = useDetails(task, fixed);
  const submission = details?.submission;
  if (!submission) return null;
  const missing = submission.review ? details.missing : [];
  return html`<div class="need-submission" data-testid="need-submission">
    <${SubmissionHead} submission=${submission} />
    <${Summary} text=${submission.summary} logs=${details.logs} />
    <${SubmissionValues} submission=${submission} missing=${missing} inRow />
    <${Evidence} task=${task} details=${details} />
    ${submission.review && html`<${Verdict} review=${submission.review} />`}
  </div>`;
}

/** The sentence about a task that became BLOCKED after too many requests for changes. */
export function NeedRounds(/** @type {{ task: Task }} */ { task }) {
  if (waitingKindOf(task) !== "rounds") return null;
  return html`<span data-testid="rounds-reached">${roundsWords(task)}</span>`;
}
