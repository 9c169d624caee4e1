"""The command that starts the demo."""

from project_manager.schemas.commands import IdempotentCommand


class StartDemo(IdempotentCommand):
    pass
