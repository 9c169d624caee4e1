// Connect with an official TypeScript client and call one tool: node typescript_client.mjs KIND TARGET ERA TOOL ARGUMENTS
// KIND: http | sse | stdio. ERA: 2025 (SDK 1.x) | 2025-client | 2026 (client 2.x). Prints one JSON line.
const [kind, target, era, tool, args] = process.argv.slice(2);
const old = era === "2025";
const sdk = old ? "@modelcontextprotocol/sdk/client" : "@modelcontextprotocol/client";
const { Client } = await import(old ? `${sdk}/index.js` : sdk);
const load = async (name, file) => (await import(old ? `${sdk}/${file}.js` : file === "stdio" ? `${sdk}/stdio` : sdk))[name];

async function transport() {
  if (kind === "http") return new (await load("StreamableHTTPClientTransport", "streamableHttp"))(new URL(target));
  if (kind === "sse") return new (await load("SSEClientTransport", "sse"))(new URL(target));
  const [command, ...rest] = JSON.parse(target);
  return new (await load("StdioClientTransport", "stdio"))({ command, args: rest, env: process.env, stderr: "inherit" });
}

const options = era === "2026" ? { versionNegotiation: { mode: { pin: "2026-07-28" } } } : {};
const client = new Client({ name: "typescript", version: "1" }, options);
await client.connect(await transport());
const tools = (await client.listTools()).tools.map((found) => found.name);
const result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
console.log(JSON.stringify({ tools, text: result.content[0].text, structured: result.structuredContent ?? null, isError: result.isError ?? false }));
await client.close();
process.exit(0);
