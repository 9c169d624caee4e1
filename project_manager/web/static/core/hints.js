// Hints for users in place of the server's hints for programs, by error code.

/** @type {Record<string, string>} */
const HINTS = {
  unauthorized: "Sign in again, or ask an operator for a token.",
  role_required: "Your token does not have the required role. Ask an operator for another one.",
  lock_held: "Wait until the lease ends, or take the task over.",
  not_ready: "See the blockers of the task.",
  already_reviewed: "The first verdict counts. The task now shows it.",
  stale_submission: "The task now shows the present submission. Read it, then decide.",
  not_in_review: "The task now shows its present status.",
  own_review: "Another person or an agent has to review this work.",
  policy_unmet: "Ask for the missing parts, or ask an operator to set it Done without them.",
  project_archived: "Unarchive the project first (Projects, Unarchive).",
  task_not_found: "It was deleted, or the link is wrong.",
  project_not_found: "It was deleted, or the link is wrong.",
  epic_not_found: "It was deleted, or the link is wrong.",
};

export const hintOf = (/** @type {Record<string, any>} */ body) => HINTS[body.code] ?? body.hint ?? "";
