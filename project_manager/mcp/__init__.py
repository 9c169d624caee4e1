"""The MCP server: the catalogue as tools, resources and prompts. Only `transport` knows how messages travel.

This package imports the runtime and schemas, and never imports `web`.
"""
