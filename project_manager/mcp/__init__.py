"""The MCP server: the catalogue as tools, resources and prompts.

This package imports the runtime and schemas, and never imports `web`.
"""
