"""How fast agents may call: one that runs wild, asking again and again, must not slow the others down."""

from project_manager.domain.actors import Actor
from project_manager.domain.errors import RateLimited

BURST_SECONDS = 10
REMEMBERED = 10_000


class RateLimits:
    """Counts the calls of each agent of this process. `per_second` is what one may make in the long run, with bursts of
    BURST_SECONDS' worth; 0 means no limit. People and scripts, who name no agent, are not counted.

    Of an agent only the instant is kept at which its calls so far are paid off (the generic cell rate algorithm of
    ATM Forum TM 4.0, section 4.4.2).
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._paid_off: dict[str, float] = {}

    def __len__(self) -> int:
        """Agents that are remembered."""
        return len(self._paid_off)

    def check(self, actor: Actor, now: float) -> None:
        """Counts one call at `now`, in seconds of a clock that never steps back. Raises RateLimited."""
        if not self._per_second or not actor.is_agent:
            return
        paid_off = max(self._paid_off.get(actor.id, now), now) + 1 / self._per_second
        if paid_off - now > BURST_SECONDS:
            raise RateLimited(
                f"{actor.id!r} made more than {self._per_second} calls a second for a while",
                agent_id=actor.id,
                calls_per_second=self._per_second,
            )
        if len(self._paid_off) >= REMEMBERED:
            self._paid_off = {agent: until for agent, until in self._paid_off.items() if until > now}
        self._paid_off[actor.id] = paid_off
