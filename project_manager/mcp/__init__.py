"""The MCP server: the catalogue as tools, resources and prompts. This package never imports `web`.

Other packages import only `on_demand`, because every other module loads the SDK.
"""
