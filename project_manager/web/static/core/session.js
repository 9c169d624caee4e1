// Who we are here.
import { get, onSignedOut, post, request } from "./api.js";
import { complain } from "./ask.js";
import { forgetDrafts } from "./drafts.js";
import { dispatch, dispatchNow, state } from "./store.js";

/** Whether somebody else signs in than who began what stands on the page. Before a server had tokens it knew nobody. */
function isAnother(session) {
  const before = state.session?.auth_required && state.session.actor;
  return Boolean(before) && before.id !== session.actor?.id;
}

/** True if the page may go on; else it shows the sign-in. */
export async function readSession() {
  try {
    const session = await get("/api/session");
    if (session.auth_required && !session.actor) {
      dispatchNow({ type: "signIn" });
      return false;
    }
    const another = isAnother(session);
    if (another) forgetDrafts();
    dispatchNow({ type: "session", session, another });
    return true;
  } catch (error) {
    if (error.status === 401) dispatchNow({ type: "signIn" });
    else dispatch({ type: "failure", error });
    return false;
  }
}

/** Refused for good reasons or not, a person needs to know what to do about the token. */
function explain(error) {
  if (error.status !== 401) return;
  error.message = "This token is not known here, or it was revoked.";
  error.hint = "Check that you pasted all of it, or ask whoever runs this server for another one.";
}

export async function signIn(token) {
  try {
    await post("/api/session", { token });
  } catch (error) {
    explain(error);
    throw error;
  }
  return readSession();
}

export async function signOut() {
  try {
    await request("DELETE", "/api/session");
    forgetDrafts();
    location.reload();
  } catch (error) {
    complain(error);
  }
}

onSignedOut(() => dispatchNow({ type: "signIn" }));
