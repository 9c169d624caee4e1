"""HTTP and WebSocket: the REST API, the dashboard, health and metrics. Imports the runtime, never `mcp`."""
