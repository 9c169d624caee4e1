// Drafts of unsent comments in the session storage of this tab.

const PREFIX = "project-manager:draft:";

/** Return the draft. Private windows may refuse storage; drafts are then not kept. */
export function draftOf(/** @type {string | number} */ task) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + task) ?? "null") ?? { body: "", kind: "comment" };
  } catch {
    return { body: "", kind: "comment" };
  }
}

export function keepDraft(/** @type {string | number} */ task, /** @type {Draft} */ draft) {
  try {
    if (draft.body.trim()) sessionStorage.setItem(PREFIX + task, JSON.stringify(draft));
    else sessionStorage.removeItem(PREFIX + task);
  } catch {
    // Without storage there are no drafts.
  }
}

/** Delete all drafts, so that the next user of this browser does not find them. */
export function forgetDrafts() {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
  } catch {
    // Without storage there are no drafts.
  }
}
