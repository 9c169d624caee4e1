// The submission of a task in the list of tasks that need a person.
import { html } from "../../core/html.js";
import { needsVerdictOfPerson } from "../../state/decisions.js";
import { useDetails } from "../../state/task_details.js";
import { roundsWords } from "../../state/reviews.js";
import { SubmissionHead, SubmissionValues, Verdict } from "../../ui/evidence.js";
import { latestOf } from "../../ui/latest_log_entry.js";
import { PlainWithLinks } from "../../ui/markdown.js";

const LONGEST = 2000;

function Summary(/** @type {{ text: string, logs: LogView[] }} */ { text, logs }) {
  // The row shows the latest log entry too.
  if (!text || latestOf(logs)?.body === text) return null;
  return html`<p class="need-summary" data-testid="need-summary">
    <${PlainWithLinks} text=${text.slice(0, LONGEST)} />
  </p>`;
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
    <${SubmissionValues} submission=${submission} missing=${missing} />
    ${submission.review && html`<${Verdict} review=${submission.review} />`}
  </div>`;
}

/** The sentence about a task that became BLOCKED after too many requests for changes. */
export function NeedRounds(/** @type {{ task: Task }} */ { task }) {
  if (!needsVerdictOfPerson(task)) return null;
  return html`<span data-testid="rounds-reached">${roundsWords(task)}</span>`;
}
