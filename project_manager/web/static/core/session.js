// Who we are here.
import { get, onSignedOut, post, request } from "./api.js";
import { complain } from "./ask.js";
import { dispatch, dispatchNow } from "./store.js";

/** True if the page may go on; else it shows the sign-in. */
export async function readSession() {
  try {
    const session = await get("/api/session");
    if (session.auth_required && !session.actor) {
      dispatchNow({ type: "signIn" });
      return false;
    }
    dispatchNow({ type: "session", session });
    return true;
  } catch (error) {
    if (error.status === 401) dispatchNow({ type: "signIn" });
    else dispatch({ type: "failure", error });
    return false;
  }
}

export async function signIn(token) {
  await post("/api/session", { token });
  return readSession();
}

export async function signOut() {
  try {
    await request("DELETE", "/api/session");
    location.reload();
  } catch (error) {
    complain(error);
  }
}

onSignedOut(() => dispatchNow({ type: "signIn" }));
