"""The door for AI agents: the catalogue as MCP tools, resources and prompts over streamable HTTP, legacy
SSE and stdio.

May use the catalogue, the runtime and the contract; never `web`. Only `sdk.py` and `live.py` touch what the SDK does
not document.
"""
