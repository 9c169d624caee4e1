"""The MCP server: the catalogue as tools, resources and prompts. Imports the runtime and schemas, never `web`."""
