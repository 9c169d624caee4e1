// Drafts of unsent comments in the session storage of this tab.
import { withStorage } from "./local_storage.js";

const PREFIX = "project-manager:draft:";

export const draftOf = (/** @type {string | number} */ task) =>
  withStorage(() => JSON.parse(String(sessionStorage.getItem(PREFIX + task)))) ?? { body: "", kind: "comment" };

export const saveDraft = (/** @type {string | number} */ task, /** @type {Draft} */ draft) => withStorage(() => {
  if (draft.body.trim()) sessionStorage.setItem(PREFIX + task, JSON.stringify(draft));
  else sessionStorage.removeItem(PREFIX + task);
});

/** Delete all drafts, so that the next user of this browser does not find them. */
export const clearDrafts = () => withStorage(() => {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
});
