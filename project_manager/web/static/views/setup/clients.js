// The configuration of MCP clients, as docs/agents.md has it. A test compares both.

/** @type {(entry: Record<string, string>, token: string) => Record<string, unknown>} */
const withToken = (entry, token) =>
  (token ? { ...entry, headers: { Authorization: `Bearer ${token}` } } : entry);

/** JSON in one line, with spaces after commas and colons. */
const inline = (/** @type {unknown} */ value) =>
  JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) /g, "$1").replace(/ ([\]}])/g, "$1");

const server = (/** @type {string} */ key, /** @type {Record<string, unknown>} */ entry) =>
  inline({ [key]: { "project-manager": entry } });

/** @type {McpClient[]} */
export const CLIENTS = [
  {
    id: "claude",
    name: "Claude Code",
    where: "Run it in a terminal, in the folder of your code.",
    text: ({ url, token }) =>
      `claude mcp add --transport http project-manager ${url}${token && ` --header "Authorization: Bearer ${token}"`}`,
  },
  {
    id: "codex",
    name: "Codex",
    where: "Add it to ~/.codex/config.toml.",
    text: ({ url, token }) =>
      `[mcp_servers.project-manager]\nurl = "${url}"${token && '\nbearer_token_env_var = "PM_TOKEN"'}`,
    tokenHint: "Codex reads the token from the environment variable PM_TOKEN.",
  },
  {
    id: "gemini",
    name: "Gemini CLI",
    where: "Add it to ~/.gemini/settings.json. The folder of your code must be trusted.",
    text: ({ url, token }) => server("mcpServers", withToken({ httpUrl: url }, token)),
  },
  {
    id: "cursor",
    name: "Cursor",
    where: "Add it to .cursor/mcp.json.",
    text: ({ url, token }) => server("mcpServers", withToken({ url }, token)),
  },
  {
    id: "vscode",
    name: "VS Code",
    where: "Add it to .vscode/mcp.json.",
    text: ({ url, token }) => server("servers", withToken({ type: "http", url }, token)),
  },
  {
    id: "curl",
    name: "curl",
    isProgram: true,
    where: "Any program can use the REST API. This claims a task.",
    text: ({ origin, token }) => {
      const header = token && ` -H "Authorization: Bearer ${token}"`;
      return `curl -s ${origin}/api/tasks/claim${header} -d '{"agent_id": "script-1"}'`;
    },
  },
];

export const FIRST_PROMPT =
  "Use the tools of project-manager. Call get_context, then claim_next_task with agent_id=auto and wait_seconds=20. "
  + "Work on the task, report progress with add_task_log, and finish with update_task_status. "
  + "Then claim the next task, until none is ready.";
