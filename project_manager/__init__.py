"""Where a team's AI agents get their work."""

__version__ = "0.1.0"
