// The session: sign-in, sign-out and the current actor.
import { ApiError, beginSession, get, onSignedOut, post, request } from "../core/api.js";
import { clearDrafts } from "../core/drafts.js";
import { loadSetting, saveSetting } from "../core/local_storage.js";
import { dispatch, dispatchNow, state } from "./store.js";
import { showError } from "./toasts.js";
import { clearActs } from "./undo.js";

/** Return whether another user signs in on this page. Sessions of a server without tokens have no user. */
function isOtherUser(/** @type {Session} */ session) {
  const before = state.session?.auth_required ? state.session.actor : null;
  return before !== null && before.id !== session.actor?.id;
}

/** Ask for a token. A setting records the last sign-in, because scripts cannot read the cookie. */
const askForToken = () => {
  const open = state.session && !state.session.auth_required;
  dispatchNow({ type: "signIn", why: open ? "asked" : loadSetting("signed-in", false) ? "ended" : null });
};

/** Resume the session of the cookie. Return false if the server requires a sign-in. Throw ApiError. */
async function resumeSession() {
  const session = await get("/api/session");
  if (session.auth_required && !session.actor) return false;
  saveSetting("signed-in", session.auth_required);
  const another = isOtherUser(session);
  if (another) {
    clearDrafts();
    clearActs();
  }
  dispatchNow({ type: "session", session, another });
  return true;
}

/** Return true if the page may start. Otherwise show the sign-in or the error. */
export async function readSession() {
  try {
    const known = await resumeSession();
    if (!known) askForToken();
    return known;
  } catch (error) {
    if (error.status === 401) askForToken();
    else dispatch({ type: "failure", error });
    return false;
  }
}

/** Replace the message of a 401 with instructions about the token. */
function describeError(/** @type {ApiFailure} */ error) {
  if (error.status !== 401) return;
  error.message = "The token is unknown or revoked.";
  error.hint = "Check that the token is complete, or ask an operator for another one.";
}

const COOKIE_NOT_STORED = {
  code: "session_not_kept",
  message: "The token is valid, but the browser did not store the session cookie.",
  hint: "Allow cookies for this address, then sign in again.",
};

/** Sign in with a token. Throw ApiError with a message for the user. */
export async function signIn(/** @type {string} */ token) {
  try {
    await post("/api/session", { token });
    beginSession();
    if (!(await resumeSession())) throw new ApiError(0, COOKIE_NOT_STORED);
  } catch (error) {
    describeError(error);
    throw error;
  }
}

export async function signOut() {
  try {
    await request("DELETE", "/api/session");
    clearDrafts();
    saveSetting("signed-in", false);
    location.reload();
  } catch (error) {
    showError(error);
  }
}

onSignedOut(askForToken);
