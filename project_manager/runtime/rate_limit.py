"""Rate limit of calls per agent, so that an agent in a tight loop does not slow down other agents."""

from project_manager.domain.actors import Actor, is_reserved
from project_manager.domain.service_errors import RateLimited

BURST_SECONDS = 10
REMEMBERED = 10_000


class RateLimits:
    """The rate limits of the agents of this process, by the generic cell rate algorithm (ATM Forum TM 4.0, 4.4.2).

    `per_second` is the sustained number of calls, with bursts of BURST_SECONDS' worth; 0 means no limit. The state of
    an agent is the instant at which its burst is full again. Calls without an agent id are not limited.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._refilled_at: dict[tuple[str, str], float] = {}

    def check(self, caller: Actor, agent: Actor, now: float) -> None:
        """Count one call at `now`, in seconds of a monotonic clock. Raises RateLimited.

        Calls count per caller and agent, so that another token with the same id does not use up the limit.
        """
        if not self._per_second or not agent.is_agent or is_reserved(agent.id):
            return
        key = (caller.id, agent.id)
        refilled_at = max(self._refilled_at.get(key, now), now) + 1 / self._per_second
        if refilled_at - now > BURST_SECONDS:
            raise RateLimited(
                f"rate limit exceeded: {agent.id!r} may make {self._per_second} calls per second",
                agent_id=agent.id,
                calls_per_second=self._per_second,
            )
        if len(self._refilled_at) >= REMEMBERED:
            self._refilled_at = {other: until for other, until in self._refilled_at.items() if until > now}
        self._refilled_at[key] = refilled_at
