"""MCP over streamable HTTP, legacy SSE and stdio. Only `sdk.py` and `live.py` use undocumented parts of the SDK."""
