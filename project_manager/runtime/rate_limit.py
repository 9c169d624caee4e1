"""Rate limit of calls per agent, so that an agent in a tight loop does not slow the others down."""

from project_manager.domain.actors import Actor, is_reserved
from project_manager.domain.errors import RateLimited

BURST_SECONDS = 10
REMEMBERED = 10_000


class RateLimits:
    """The rate limits of the agents of this process.

    `per_second` is the sustained number of calls per second, with bursts of BURST_SECONDS' worth. 0 means no limit.
    Calls without an agent are not counted, because their origin is unknown.

    The only state of an agent is the instant at which its calls so far are paid off. This is the generic cell rate
    algorithm of ATM Forum TM 4.0, section 4.4.2.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._refilled_at: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        """Return the number of agents in memory."""
        return len(self._refilled_at)

    def check(self, caller: Actor, agent: Actor, now: float) -> None:
        """Count one call that `caller` makes as `agent`. Raises RateLimited.

        `now` is in seconds of a monotonic clock. Calls count per caller and agent. A caller that sends another agent's
        id with its own token does not use up the limit of that agent.
        """
        if not self._per_second or not agent.is_agent or is_reserved(agent.id):
            return
        who = (caller.id, agent.id)
        paid_off = max(self._refilled_at.get(who, now), now) + 1 / self._per_second
        if paid_off - now > BURST_SECONDS:
            raise RateLimited(
                f"rate limit exceeded: {agent.id!r} may make {self._per_second} calls per second",
                agent_id=agent.id,
                calls_per_second=self._per_second,
            )
        if len(self._refilled_at) >= REMEMBERED:
            self._refilled_at = {key: until for key, until in self._refilled_at.items() if until > now}
        self._refilled_at[who] = paid_off
