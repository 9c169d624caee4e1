// Evidence and submissions of tasks.
import { cx, html } from "../core/html.js";
import { Collapsible } from "./collapsible.js";
import { RelativeTime } from "./chips.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

/** The sources of evidence, as words before "by" and the name of the author. @type {Record<string, string>} */
export const SOURCES = {
  reported: "Reported",
  observed: "Observed",
  ci: "Observed in CI",
  person: "Confirmed",
};

/** A link to a page, or only its text if it is not a link of the web. */
export function WebLink(/** @type {{ url: string }} */ { url }) {
  if (!/^https?:\/\//i.test(url)) return html`<bdi>${url}</bdi>`;
  return html`<a class="web-link" href=${url} target="_blank" rel="noopener noreferrer nofollow"><bdi>${url}</bdi></a>`;
}

/** The names and values of a record, without those that are empty. */
export function Values(/** @type {{ rows: [string, any][] }} */ { rows }) {
  const given = rows.filter(([, value]) => value !== null && value !== undefined && value !== false);
  if (given.length === 0) return null;
  return html`<dl class="evidence-fields">
    ${given.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

const code = (/** @type {string | null} */ text) => text !== null && html`<code dir="ltr">${text}</code>`;

/** Return one piece of evidence as a line of text. */
export function evidenceLine(/** @type {CriterionEvidence} */ { author, fields }) {
  const { source, command, exit_code: exitCode, commit, url } = fields;
  const result = command && exitCode !== null ? `${command} (exit code ${exitCode})` : command;
  return [`${SOURCES[source] ?? source} by ${author}`, result, commit, url].filter(Boolean).join(", ");
}

/** The text of a criterion, or its number where the task is unknown or has fewer criteria now. */
function criterionName(/** @type {number} */ index, /** @type {string[]} */ criteria) {
  const text = criteria[index];
  return text === undefined ? `number ${index + 1}` : html`<span dir="auto">${text}</span>`;
}

/**
 * The structured fields of evidence. `criteria` are the texts of the task, to name the criterion, which other places
 * show as their heading. `sourced` leaves out the source.
 * @param {{ fields: EvidenceFields, criteria?: string[], sourced?: boolean }} props
 */
export function EvidenceValues({ fields, criteria, sourced = false }) {
  const { source, criterion, command, exit_code: exitCode, commit, url } = fields;
  const failed = exitCode !== null && exitCode !== 0;
  return html`<${Values} rows=${[
    ["Source", !sourced && (SOURCES[source] ?? source)],
    ["Criterion", criteria && criterion !== null && criterionName(criterion, criteria)],
    ["Command", code(command)],
    ["Exit code", failed ? html`<span class="bad">${exitCode} (failed)</span>` : exitCode],
    ["Commit", code(commit)],
    ["URL", url && html`<${WebLink} url=${url} />`],
  ]} />`;
}

/** @type {Record<string, string>} */
const REVIEWERS = { person: "person", agent: "agent", unknown: "without a token" };
const VERDICTS = /** @type {Record<string, string>} */ ({
  approved: "Approved",
  changes_requested: "Changes requested",
});

/** The verdict on a submission, with its text. */
export function Verdict(/** @type {{ review: ReviewView }} */ { review }) {
  const approved = review.verdict === "approved";
  return html`<div class=${cx("verdict", approved ? "good" : "bad")} data-testid="verdict">
    <p>
      <${Icon} name=${approved ? "check" : "warn"} />
      <b>${VERDICTS[review.verdict] ?? review.verdict}</b> by <bdi>${review.reviewer}</bdi>
      ${` (${REVIEWERS[review.reviewer_kind] ?? review.reviewer_kind}) `}
      <span class="muted"><${RelativeTime} at=${review.created_at} /></span>
    </p>
    ${review.body && html`<${Collapsible}><${Markdown} text=${review.body} /><//>`}
  </div>`;
}

/** The branch, the commit, the pull request and the evidence of a submission. `missing` is still needed for DONE. */
/** @param {{ submission: SubmissionView, missing?: string[], inRow?: boolean }} props */
export function SubmissionValues({ submission, missing = [], inRow = false }) {
  return html`<${Values} rows=${[
    ["Branch", code(submission.branch)],
    ["Commit", code(submission.commit)],
    ["Pull request", submission.pull_request && html`<${WebLink} url=${submission.pull_request} />`],
    ["Evidence", !inRow && (submission.evidence.length || "none")],
    ["Missing", missing.length > 0 ? html`<span dir="auto">${missing.join("; ")}</span>` : null],
  ]} />`;
}

/** The round, the author and the time of a submission. */
export function SubmissionHead(/** @type {{ submission: SubmissionView }} */ { submission }) {
  return html`<p class="submission-head">
    <b>Round ${submission.round}</b> by <bdi>${submission.author}</bdi>
    ${" "}<span class="muted"><${RelativeTime} at=${submission.created_at} /></span>
  </p>`;
}

/** A submission in full: its author, summary, branch, commit and review. */
export function SubmissionBody(/** @type {{ submission: SubmissionView }} */ { submission }) {
  return html`<${SubmissionHead} submission=${submission} />
    ${submission.summary && html`<${Collapsible}><${Markdown} text=${submission.summary} /><//>`}
    <${SubmissionValues} submission=${submission} />
    ${submission.review && html`<${Verdict} review=${submission.review} />`}`;
}
