"""What opening the doors again takes: nothing."""

from project_manager.schemas.fields import Command


class ClearTokens(Command):
    pass
