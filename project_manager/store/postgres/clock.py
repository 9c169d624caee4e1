"""The clock of a database server, which all instances share."""

from project_manager.clock import SystemClock


class ServerClock:
    """The wall clock of the server, as of its last answer. Between two answers it advances with the boot time clock.

    The estimate is never ahead: an answer is older when it arrives than when the server made it.
    """

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._offset: int | None = None

    def observed(self, instant: int) -> None:
        """Take over the instant of an answer of the server. Only the writer's thread calls it."""
        self._offset = instant - self._machine.boottime()

    def now(self) -> int:
        return self._machine.now() if self._offset is None else self._machine.boottime() + self._offset

    def boottime(self) -> int:
        return self._machine.boottime()

    def boot_id(self) -> str:
        """Return an empty string. Instances on other machines have other boot time clocks."""
        return ""
