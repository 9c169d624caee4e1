"""HTTP and WebSocket: the REST API, the dashboard, health and metrics. May import the runtime, never `mcp`."""
