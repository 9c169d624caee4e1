// What the server says to programs, said to a person. Only by code: what it says else is shown as it is.

const HINTS = {
  unauthorized: "Sign in again, or ask whoever runs this server for a token.",
  role_required: "Your token does not allow this. Ask whoever runs this server for one that does.",
  lock_held: "Wait until the lease ends, or take the task over.",
  not_ready: "The task says what it waits for.",
  project_archived: "Take the project back first: Projects, Unarchive.",
  task_not_found: "It may have been deleted meanwhile, or the link is wrong.",
  project_not_found: "It may have been deleted meanwhile, or the link is wrong.",
  epic_not_found: "It may have been deleted meanwhile, or the link is wrong.",
};

export const hintOf = (body) => HINTS[body.code] ?? body.hint ?? "";
