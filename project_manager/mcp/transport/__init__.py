"""The transports of MCP: streamable HTTP, legacy SSE and stdio. No tool, resource or prompt is defined here.

A tool call takes one of these paths. The first one calls `Tools.call_directly`, the others call `Tools.call`.

| path | calls | modules |
|---|---|---|
| direct | on `/mcp`, in every protocol version, calls that send no message before their response | `http`, `direct` |
| session | on `/mcp`, other calls up to version 2025-11-25 | `http`, `sessions`: the SDK's session manager |
| single request | on `/mcp`, other calls of version 2026-07-28 | `http`: the SDK's entry in the same manager |
| duplex | on `/sse` and `/messages/` | `sse`, `duplex`: the SDK's dispatcher |
| duplex | on standard input and output | `stdio`, `duplex`: the SDK's dispatcher |
"""
