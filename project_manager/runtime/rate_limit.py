"""How fast agents may call: one that runs wild, asking again and again, must not slow the others down."""

from project_manager.domain.actors import Actor, is_reserved
from project_manager.domain.errors import RateLimited

BURST_SECONDS = 10
REMEMBERED = 10_000


class RateLimits:
    """Counts the calls of each agent of this process. `per_second` is what one may make in the long run, with bursts of
    BURST_SECONDS' worth; 0 means no limit. Calls that name no agent are not counted: nobody knows whose they are.

    Of an agent only the instant is kept at which its calls so far are paid off (the generic cell rate algorithm of
    ATM Forum TM 4.0, section 4.4.2).
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._paid_off: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        """Agents that are remembered."""
        return len(self._paid_off)

    def check(self, caller: Actor, agent: Actor, now: float) -> None:
        """Counts one call that `caller` makes as `agent`, at `now` in seconds of a clock that never steps back. Raises
        RateLimited. Who names another's id with a token of its own uses up nothing of the other's.
        """
        if not self._per_second or not agent.is_agent or is_reserved(agent.id):
            return
        who = (caller.id, agent.id)
        paid_off = max(self._paid_off.get(who, now), now) + 1 / self._per_second
        if paid_off - now > BURST_SECONDS:
            raise RateLimited(
                f"{agent.id!r} made more than {self._per_second} calls a second for a while",
                agent_id=agent.id,
                calls_per_second=self._per_second,
            )
        if len(self._paid_off) >= REMEMBERED:
            self._paid_off = {key: until for key, until in self._paid_off.items() if until > now}
        self._paid_off[who] = paid_off
