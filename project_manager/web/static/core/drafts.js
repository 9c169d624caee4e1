// Comments that were begun and not sent, kept in this tab until they are.

const PREFIX = "project-manager:draft:";

/** As with all storage: a private window may refuse it, and then nothing is kept. */
export function draftOf(task) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + task)) ?? { body: "", kind: "comment" };
  } catch {
    return { body: "", kind: "comment" };
  }
}

export function keepDraft(task, draft) {
  try {
    if (draft.body.trim()) sessionStorage.setItem(PREFIX + task, JSON.stringify(draft));
    else sessionStorage.removeItem(PREFIX + task);
  } catch {
    return;
  }
}

/** The next person at this browser must not find them. */
export function forgetDrafts() {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
  } catch {
    return;
  }
}
