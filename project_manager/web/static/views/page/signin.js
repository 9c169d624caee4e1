// The sign-in, for servers with tokens.
import { html, useState } from "../../core/html.js";
import { start } from "../../state/live.js";
import { signIn } from "../../state/session.js";
import { useStore } from "../../state/store.js";
import { useModal } from "../../ui/dialog.js";
import { Icon } from "../../ui/icons.js";
import { Field, FormError, useForm } from "../../forms/field.js";
import { Logo } from "./topbar.js";

const REASONS = {
  ended: "You were signed out: the session has ended, or its token was revoked. Sign in again.",
  asked: "This server now requires a token.",
};

export function SignIn() {
  const form = useForm({ token: "" });
  const [done, setDone] = useState(false);
  const why = useStore((state) => state.whySignIn);
  const send = form.submit(async ({ token }) => {
    await signIn(token.trim());
    setDone(true);
    start();
  });
  return html`<main class="signin" data-testid="signin"><form onSubmit=${send}>
    <${Logo} />
    <h1>Sign in to Project Manager</h1>
    ${why
      && !form.error
      && html`<p class="notice" role="status" data-testid="why-sign-in"><${Icon} name="lock" />${REASONS[why]}</p>`}
    <p class="muted">Paste your token. Operators create tokens with <code>project-manager token create</code>.</p>
    <${FormError} error=${form.error} shown=${["token"]} />
    <${Field} label="Token" kind="password" ...${form.field("token")} required autofocus autocomplete="current-password"
        spellcheck=${false} data-testid="token" hint="Stored in a cookie that scripts cannot read." />
    <button type="submit" class="primary" disabled=${form.busy || done}>
      ${form.busy ? "Signing in…" : "Sign in"}
    </button>
  </form></main>`;
}

/** The sign-in after the session ended. The page with its unsaved text stays hidden behind it. */
export function SignInAgain() {
  const element = useModal();
  const stay = (/** @type {UiEvent} */ event) => event.preventDefault();
  const reopen = () => element.current?.isConnected && element.current.showModal();
  return html`<dialog ref=${element} class="signin-again" aria-label="Sign in again" onCancel=${stay} onClose=${reopen}>
    <${SignIn} />
  </dialog>`;
}
