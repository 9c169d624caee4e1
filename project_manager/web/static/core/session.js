// Who we are here.
import { ApiError, get, onSignedOut, post, request } from "./api.js";
import { complain } from "./ask.js";
import { forgetDrafts } from "./drafts.js";
import { recall, remember } from "./memory.js";
import { dispatch, dispatchNow, state } from "./store.js";

/** Whether somebody else signs in than who began what stands on the page. Before a server had tokens it knew nobody. */
function isAnother(session) {
  const before = state.session?.auth_required && state.session.actor;
  return Boolean(before) && before.id !== session.actor?.id;
}

/** That somebody was in outlives the page: the cookie is out of sight, and a dead one looks like none. */
const askForToken = () => {
  const open = state.session && !state.session.auth_required;
  dispatchNow({ type: "signIn", why: open ? "asked" : recall("signed-in", false) ? "ended" : null });
};

/** Takes up the session that the server knows of us. False if it knows none and wants one; throws ApiError. */
async function enter() {
  const session = await get("/api/session");
  if (session.auth_required && !session.actor) return false;
  remember("signed-in", session.auth_required);
  const another = isAnother(session);
  if (another) forgetDrafts();
  dispatchNow({ type: "session", session, another });
  return true;
}

/** True if the page may go on; else it shows the sign-in, or what failed. */
export async function readSession() {
  try {
    const known = await enter();
    if (!known) askForToken();
    return known;
  } catch (error) {
    if (error.status === 401) askForToken();
    else dispatch({ type: "failure", error });
    return false;
  }
}

/** Refused for good reasons or not, a person needs to know what to do about the token. */
function explain(error) {
  if (error.status !== 401) return;
  error.message = "The token is unknown or revoked.";
  error.hint = "Check that the token is complete, or ask an operator for another one.";
}

const FORGOTTEN = {
  code: "session_not_kept",
  message: "The token is valid, but the browser did not store the session cookie.",
  hint: "Allow cookies for this address, then sign in again.",
};

/** Throws ApiError, with words for who signs in, unless the page may go on. */
export async function signIn(token) {
  try {
    await post("/api/session", { token });
    if (!(await enter())) throw new ApiError(0, FORGOTTEN);
  } catch (error) {
    explain(error);
    throw error;
  }
}

export async function signOut() {
  try {
    await request("DELETE", "/api/session");
    forgetDrafts();
    remember("signed-in", false);
    location.reload();
  } catch (error) {
    complain(error);
  }
}

onSignedOut(askForToken);
