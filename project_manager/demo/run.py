"""State that the agents of one run share: the server, the project, the pace and the printed lines."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from project_manager.demo.service import Api


@dataclass(frozen=True)
class DemoRun:
    """One run of the demonstration. `speed` divides every duration, also the length of leases."""

    service: Api
    project_id: int
    speed: float
    write: Callable[[str], object]
    started: float = field(default_factory=anyio.current_time)

    async def pause(self, seconds: float) -> None:
        """Sleep for `seconds` of the script."""
        await anyio.sleep(seconds / self.speed)

    def whole(self, seconds: float, *, at_least: int = 1) -> int:
        """Return `seconds` of the script as whole seconds of the service, which takes no shorter ones."""
        return max(at_least, round(seconds / self.speed))

    def report(self, actor: str, message: str) -> None:
        """Write one line with the time of the script."""
        minutes, seconds = divmod(int((anyio.current_time() - self.started) * self.speed), 60)
        self.write(f"{minutes}:{seconds:02}  {actor:<14} {message}")
