"""Task queue for AI agents, with leases, an MCP server and a live dashboard."""

__version__ = "0.1.0"
