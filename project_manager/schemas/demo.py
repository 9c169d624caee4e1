"""The command that starts the demo."""

from project_manager.schemas.commands import Command


class StartDemo(Command):
    pass
