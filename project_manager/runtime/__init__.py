"""The running service: dispatch of operations, authentication, long polls, the event hub and background jobs.

Interfaces call use cases only through this package. It does not depend on HTTP or MCP.
"""
