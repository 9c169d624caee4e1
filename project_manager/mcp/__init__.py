"""The MCP server: the catalogue as tools, resources and prompts. This package never imports `web`."""
