"""Paths of the HTTP transports. Each path may end with a slash."""

MCP, SSE, MESSAGES = "/mcp", "/sse", "/messages"


def endpoint_paths(*, legacy_sse: bool) -> frozenset[str]:
    """Return the paths of all endpoints, which include those of legacy SSE if it is on."""
    return frozenset({MCP, SSE, MESSAGES} if legacy_sse else {MCP})
