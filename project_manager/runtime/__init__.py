"""The running service: dispatch of operations, authentication, long polls, the event hub and background jobs.

The only way from an interface to a use case. It knows nothing of HTTP or MCP.
"""
