// The review of a task: its submission with the earlier rounds, the missing parts, its criteria and their evidence.
import { cx, html } from "../../core/html.js";
import { fullTime } from "../../core/format.js";
import { CLOSED } from "../../core/vocabulary.js";
import { useDetails } from "../../state/task_details.js";
import { EvidenceValues, SOURCES, SubmissionBody } from "../../ui/evidence.js";
import { Icon } from "../../ui/icons.js";
import { Markdown } from "../../ui/markdown.js";
import { Rounds } from "./rounds.js";

/** @type {Record<string, string>} */
const OFFER_REASONS = {
  rework: "a reviewer requested changes of its work",
  answer: "its question is answered",
  assigned: "the task is assigned to it",
};

/** The agent that the task is offered to. */
export function Offer(/** @type {{ task: Task }} */ { task }) {
  const offer = task.offered_to;
  if (!offer) return null;
  const reason = OFFER_REASONS[offer.reason] ?? offer.reason;
  return html`<div data-testid="offer">
    Offered to <bdi>${offer.agent}</bdi> until <time datetime=${offer.until}>${fullTime(offer.until)}</time>: ${reason}.
  </div>`;
}

/** The parts that the policy of the project still demands. */
function MissingParts(/** @type {{ missing: string[] }} */ { missing }) {
  return html`<div class="missing" data-testid="missing">
    <p><${Icon} name="clock" /><b>Missing for Done</b></p>
    <ul class="plain-list">${missing.map((line) => html`<li key=${line} dir="auto">${line}</li>`)}</ul>
  </div>`;
}

/** The line about a submission that is void because the task has changed. */
function Superseded(/** @type {{ task: Task, submission: SubmissionView }} */ { task, submission }) {
  if (submission.is_current || task.status !== "REVIEW") return null;
  return html`<p class="warn-line" data-testid="superseded">
    <${Icon} name="warn" />The task has changed since. Its author has to submit the work again.
  </p>`;
}

/** The newest submission of the task with its review, the earlier rounds, and the missing parts. */
export function Submission(/** @type {{ task: Task, history: TaskHistory | null }} */ { task, history }) {
  const { submission, missing = [] } = useDetails(task) ?? {};
  const isOpen = missing.length > 0 && !CLOSED.has(task.status);
  if (!submission && !isOpen) return null;
  return html`<section class="submission" aria-labelledby="submission-head" data-testid="submission">
    <h3 id="submission-head">${submission ? "Submission" : "Policy"}</h3>
    ${submission && html`<${SubmissionBody} submission=${submission} />
      <${Superseded} task=${task} submission=${submission} />`}
    ${isOpen && html`<${MissingParts} missing=${missing} />`}
    ${submission && submission.round > 1 && html`<${Rounds} key=${submission.id} task=${task} newest=${submission}
        history=${history} />`}
  </section>`;
}

function EvidenceItem(/** @type {{ entry: CriterionEvidence }} */ { entry }) {
  return html`<li class=${cx("evidence", entry.counts && "counts")} data-testid="evidence">
    <p class="evidence-head">
      <${Icon} name=${entry.counts ? "check" : "warn"} />
      <b>${SOURCES[entry.fields.source] ?? entry.fields.source}</b> by <bdi>${entry.author}</bdi>
      <span class="muted">${entry.counts ? "counts" : "does not count for the present work"}</span>
    </p>
    <${EvidenceValues} fields=${entry.fields} sourced />
  </li>`;
}

const EvidenceList = (/** @type {{ entries: CriterionEvidence[] }} */ { entries }) =>
  entries.length > 0 && html`<ul class="evidence-list">
    ${entries.map((entry) => html`<${EvidenceItem} key=${entry.log_id} entry=${entry} />`)}
  </ul>`;

/** The criteria of the task, each with its evidence, and the evidence of the task as a whole. */
export function Criteria(/** @type {{ task: Task }} */ { task }) {
  const criteria = useDetails(task)?.criteria ?? [];
  const whole = criteria.find(({ index }) => index === null)?.evidence ?? [];
  const evidenceOf = (/** @type {string} */ line, /** @type {number} */ at) =>
    criteria.find(({ index, text }) => index === at && text === line)?.evidence ?? [];
  return html`${task.acceptance.length > 0 && html`<section data-testid="criteria">
      <h3>Done when</h3>
      <ul class="acceptance">
        ${task.acceptance.map((line, index) => html`<li key=${index}>
          <${Markdown} text=${line} />
          <${EvidenceList} entries=${evidenceOf(line, index)} />
        </li>`)}
      </ul>
    </section>`}
    ${whole.length > 0 && html`<section data-testid="evidence-of-task">
      <h3>Evidence of the task</h3>
      <${EvidenceList} entries=${whole} />
    </section>`}`;
}
