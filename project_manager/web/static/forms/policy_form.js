// The form of the policy of a project: the rules for DONE.
import { html } from "../core/html.js";
import { LIMITS } from "../core/limits.js";
import { EVIDENCE_RULES, REVIEWERS, REVIEW_RULES } from "../core/policies.js";
import { Dialog } from "../ui/dialog.js";
import { Field, FormError, FormFoot } from "./field.js";
import { labelsOf, labelsText } from "./labels.js";
import { usePlanForm } from "./plan_forms.js";

/** @returns {Choice[]} */
const choices = (/** @type {Record<string, string>} */ names) => Object.entries(names);
/** @type {Choice[]} */
const YES_OR_NO = [["no", "No"], ["yes", "Yes"]];

/** @param {PolicyView} policy */
const valuesOf = (policy) => ({
  review: policy.review,
  reviewer: policy.reviewer,
  evidence: policy.evidence,
  max_review_rounds: String(policy.max_review_rounds),
  merge_completes: policy.merge_completes ? "yes" : "no",
  checks: labelsText(policy.checks),
});

/** @param {ReturnType<typeof valuesOf>} values */
const bodyOf = (values) => ({
  policy: {
    ...values,
    max_review_rounds: Number(values.max_review_rounds) || values.max_review_rounds,
    merge_completes: values.merge_completes === "yes",
    checks: labelsOf(values.checks),
  },
});

export function PolicyForm(/** @type {{ id: number, project: Project }} */ { id, project }) {
  const form = usePlanForm({ id, kind: "project", item: project, initial: valuesOf(project.policy), body: bodyOf });
  return html`<${Dialog} id=${id} title=${`Policy of ${project.name}`} dirty=${form.dirty}>
    ${(/** @type {() => void} */ close) => html`<form onSubmit=${form.onSubmit}>
      <div class="dialog-body">
        <p>These rules decide when a task of the project can be Done. They apply to agents and people.</p>
        <${FormError} error=${form.error} shown=${[]} />
        <${Field} label="Review" kind="select" options=${choices(REVIEW_RULES)} ...${form.field("review")} autofocus />
        <${Field} label="Reviewer" kind="select" options=${choices(REVIEWERS)} ...${form.field("reviewer")} />
        <${Field} label="Evidence" kind="select" options=${choices(EVIDENCE_RULES)} ...${form.field("evidence")} />
        <${Field} label="Requests for changes" kind="number" min="1" max=${LIMITS.REVIEW_ROUNDS_MAXIMUM} required
            ...${form.field("max_review_rounds")} hint="After so many, the task is blocked until a person decides." />
        <${Field} label="A merge completes the task" kind="select" options=${YES_OR_NO}
            ...${form.field("merge_completes")} hint="It has no effect yet." />
        <${Field} label="Checks" ...${form.field("checks")}
            hint="Names, separated by commas. They have no effect yet." />
      </div>
      <${FormFoot} onCancel=${close} busy=${form.busy} confirm="Save" />
    </form>`}
  <//>`;
}
