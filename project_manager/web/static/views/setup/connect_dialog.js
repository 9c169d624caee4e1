// Connecting an agent: the configuration of its client, a first prompt, and the sign of its first call.
import { post } from "../../core/api.js";
import { copyText } from "../../core/clipboard.js";
import { html, useState } from "../../core/html.js";
import { isOperator } from "../../core/vocabulary.js";
import { useNewAgents } from "../../state/new_agents.js";
import { closeDialog } from "../../state/dialogs.js";
import { state, useStore } from "../../state/store.js";
import { Field, FormError, useForm } from "../../forms/field.js";
import { Avatar } from "../../ui/chips.js";
import { Dialog } from "../../ui/dialog.js";
import { EventRow, isRedundant } from "../../ui/event_row.js";
import { Icon } from "../../ui/icons.js";
import { CLIENTS, FIRST_PROMPT } from "./clients.js";

const PLACEHOLDER = "TOKEN";

/**
 * Return the address of MCP for this browser. The API port serves MCP too, so behind a proxy, the address of the page
 * leads to it. Return "" if the server has MCP on standard input and output only.
 */
function mcpAddress() {
  const mcp = state.session?.mcp;
  if (!mcp) return "";
  const isDirect = location.protocol === "http:" && Number(location.port || 80) === mcp.api_port;
  return isDirect && mcp.port ? `${location.protocol}//${location.hostname}:${mcp.port}/mcp` : `${location.origin}/mcp`;
}

function Copy(/** @type {{ text: string, name: string }} */ { text, name }) {
  const [copied, setCopied] = useState("");
  const copy = async () => setCopied((await copyText(text)) ? text : "");
  const isCopied = copied === text;
  return html`<button type="button" class="small copy" onClick=${copy} aria-label=${`Copy ${name}`} data-testid="copy">
    <${Icon} name=${isCopied ? "check" : "copy"} />
    <span aria-live="polite">${isCopied ? "Copied" : "Copy"}</span>
  </button>`;
}

function Snippet(/** @type {{ text: string, name: string, testid: string }} */ { text, name, testid }) {
  return html`<div class="snippet">
    <pre tabindex="0" data-testid=${testid}>${text}</pre>
    <${Copy} text=${text} name=${name} />
  </div>`;
}

function Clients(/** @type {{ current: McpClient, onChoose: (client: McpClient) => void }} */ { current, onChoose }) {
  return html`<div class="clients" role="group" aria-label="Client">
    ${CLIENTS.map((client) => html`<button key=${client.id} type="button" class="small"
        aria-pressed=${client === current} onClick=${() => onChoose(client)}>${client.name}</button>`)}
  </div>`;
}

/** The form of operators that creates a token for an agent. Its secret is shown once, in the configuration. */
function TokenForm(/** @type {{ onCreated: (secret: string) => void }} */ { onCreated }) {
  const { error, busy, field, submit } = useForm({ name: "" });
  const onSubmit = submit(async ({ name }) => {
    const token = await post("/api/tokens", { name, role: "agent", agent_id: name });
    onCreated(token.secret);
  });
  return html`<form class="token-form" onSubmit=${onSubmit}>
    <${Field} label="Create a token for an agent named" ...${field("name")} required maxlength="64"
        data-testid="token-name" />
    <button type="submit" disabled=${busy} data-testid="create-token">Create token</button>
    <${FormError} error=${error} shown=${["name"]} />
  </form>`;
}

function Token(/** @type {{ client: McpClient, token: string, onCreated: (secret: string) => void }} */ props) {
  const { client, token, onCreated } = props;
  if (!state.session?.auth_required) return null;
  const created = token !== PLACEHOLDER;
  return html`<div class="notice-plain">
    <p data-testid="token-note">
      ${created
        ? html`<b>The token is shown only now.</b> Copy it before you close this dialog.`
        : `Put a token with the role agent in place of ${PLACEHOLDER}.`}
      ${client.tokenHint && ` ${client.tokenHint}`}
    </p>
    ${created && client.tokenHint && html`<${Snippet} text=${token} name="the token" testid="token-secret" />`}
    ${!created && isOperator(state.session) && html`<${TokenForm} onCreated=${onCreated} />`}
  </div>`;
}

/** Return the newest event of an agent, or undefined. A claim that gets no task has none. */
const newestEventOf = (/** @type {string} */ agent) =>
  state.events.findLast((event, at, all) =>
    (event.actor.id === agent || event.agent_id === agent) && !isRedundant(event, all[at - 1], all[at + 1]));

/** The first call of each new agent. */
function Joined() {
  const joined = useNewAgents();
  useStore((now) => now.revision.events);
  return html`<div class="joined" role="status" data-testid="joined">
    ${joined.length === 0
      ? html`<p class="waiting"><i class="pulse" aria-hidden="true"></i>
        Waiting for the first claim or write of a new agent…</p>`
      : joined.map((id) => {
        const event = newestEventOf(id);
        return html`<div key=${id} class="joined-agent">
          <p><${Icon} name="check" /><${Avatar} id=${id} /><b><bdi>${id}</bdi></b> is connected.</p>
          ${event && html`<ul class="events"><${EventRow} key=${event.seq} event=${event} /></ul>`}
        </div>`;
      })}
  </div>`;
}

export function ConnectDialog(/** @type {{ id: number }} */ { id }) {
  const [client, setClient] = useState(CLIENTS[0]);
  const required = state.session?.auth_required;
  const [token, setToken] = useState(required ? PLACEHOLDER : "");
  const url = mcpAddress();
  const { origin } = location;
  const needsMcp = !url && !client.isProgram;
  const text = client.text({ url, origin, token });
  return html`<${Dialog} id=${id} title="Connect an agent" wide>
    <div class="dialog-body connect" data-testid="connect">
      <${Clients} current=${client} onChoose=${setClient} />
      <section aria-labelledby="connect-1">
        <h3 id="connect-1">1. Add this server to ${client.name}</h3>
        ${needsMcp
          ? html`<p class="notice">This server offers MCP on standard input and output only (MCP_TRANSPORT=stdio).</p>`
          : html`<p class="muted">${client.where}</p>
            <${Snippet} text=${text} name="the configuration" testid="client-text" />`}
        <${Token} client=${client} token=${token} onCreated=${setToken} />
      </section>
      ${!client.isProgram && html`<section aria-labelledby="connect-2">
        <h3 id="connect-2">2. Give it a first prompt</h3>
        <${Snippet} text=${FIRST_PROMPT} name="the prompt" testid="first-prompt" />
      </section>`}
      <section aria-labelledby="connect-3">
        <h3 id="connect-3">${client.isProgram ? 2 : 3}. See its first call</h3>
        <${Joined} />
      </section>
    </div>
    <footer class="dialog-foot">
      <button type="button" onClick=${() => closeDialog(id)}>Close</button>
    </footer>
  <//>`;
}
