"""What opening the doors again takes: nothing."""

from project_manager.contract.fields import Command


class ClearTokens(Command):
    pass
