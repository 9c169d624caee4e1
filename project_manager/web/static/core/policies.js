// The rules of the policy of a project, in words.

/** @type {Record<string, string>} */
export const REVIEW_RULES = { none: "Not required", required: "Required" };
/** @type {Record<string, string>} */
export const REVIEWERS = { other_agent: "Another agent or a person", person: "A person" };
/** @type {Record<string, string>} */
export const EVIDENCE_RULES = {
  none: "Not required",
  any: "At least one piece",
  each_criterion: "For each criterion",
  observed_each_criterion: "Observed, for each criterion",
};

/** Return the sentences about the policy. The list is empty if a task can be DONE without review and evidence. */
export function policyWords(/** @type {PolicyView} */ policy) {
  const words = [];
  if (policy.review === "required") {
    const reviewer = REVIEWERS[policy.reviewer]?.toLowerCase() ?? policy.reviewer;
    words.push(`review by ${reviewer}, at most ${policy.max_review_rounds} requests for changes`);
  }
  if (policy.evidence !== "none") {
    words.push(`evidence: ${EVIDENCE_RULES[policy.evidence]?.toLowerCase() ?? policy.evidence}`);
  }
  if (policy.merge_completes) words.push("a merge completes a task");
  if (policy.checks.length) words.push(`checks: ${policy.checks.join(", ")}`);
  return words;
}
