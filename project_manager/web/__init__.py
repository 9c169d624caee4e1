"""The HTTP and WebSocket doors, and the dashboard. Rules and SQL live below; the MCP door is its neighbour
and is not imported.
"""
