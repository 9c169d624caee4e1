"""The service without its doors, in the words of those who use it."""

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.clock import parse_rfc3339, rfc3339
from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.runtime.calls import Answer, Caller
from project_manager.runtime.dispatch import Runtime

PATIENCE = 5.0
Refusal = TypeVar("Refusal", bound=ProjectManagerError)
Json = dict[str, Any]


@dataclass
class MovableClock:
    """Stands still until the test moves it. `slip` is the error of the wall clock, in milliseconds."""

    instant: int = field(default_factory=lambda: parse_rfc3339("2026-11-23T10:00:00Z"))
    slip: int = 0
    run: str = ""

    def now(self) -> int:
        return self.instant + self.slip

    def boottime(self) -> int:
        return self.instant

    def boot_id(self) -> str:
        return self.run

    def advance(self, seconds: float) -> None:
        self.instant += int(seconds * 1000)

    def later(self, seconds: float) -> str:
        """The instant in so many seconds, as the API writes it."""
        return rfc3339(self.instant + int(seconds * 1000))


@dataclass(frozen=True)
class Desk:
    """What people and agents do, a line each. Every call is bounded."""

    runtime: Runtime
    clock: MovableClock
    actor: Actor = LOCAL

    def used_by(self, actor: Actor) -> "Desk":
        return replace(self, actor=actor)

    async def answer(self, operation: str, *, key: str | None = None, **raw: Any) -> Answer:
        with anyio.fail_after(PATIENCE):
            return await self.runtime.run(BY_NAME[operation], raw, Caller(self.actor, "rest", "test", key))

    async def do(self, operation: str, *, key: str | None = None, **raw: Any) -> Any:
        """What the operation answers, as its JSON says it."""
        return orjson.loads((await self.answer(operation, key=key, **raw)).body)

    async def text(self, operation: str, **raw: Any) -> str:
        """The whole text of a streamed operation."""
        pieces: list[str] = []
        with anyio.fail_after(PATIENCE):
            async with self.runtime.stream(BY_NAME[operation], raw, Caller(self.actor, "rest", "test")) as (_, fetch):
                while piece := await fetch():
                    pieces.append(piece)
        return "".join(pieces)

    async def refused(self, error: type[Refusal], operation: str, *, key: str | None = None, **raw: Any) -> Refusal:
        with pytest.raises(error) as caught:
            await self.do(operation, key=key, **raw)
        return caught.value

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock and lets what is due then happen."""
        self.clock.advance(seconds)
        with anyio.fail_after(PATIENCE):
            await self.runtime.sweep()

    async def task(self, name: str = "Paint the fence", **fields: Any) -> Json:
        made: Json = await self.do("create_task", name=name, **{"project_name": "Garden", **fields})
        return made

    async def look(self, task_id: int) -> Json:
        found: Json = await self.do("get_task", task_id=task_id)
        return found

    async def claim(self, task_id: int, agent: str, **more: Any) -> Json:
        """The lock that the agent got."""
        lock: Json = (await self.do("acquire_task_lock", task_id=task_id, agent_id=agent, **more))["lock"]
        return lock

    async def next(self, agent: str, **more: Any) -> Json:
        claimed: Json = await self.do("claim_next_task", agent_id=agent, **more)
        return claimed

    async def release(self, task_id: int, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("release_task_lock", agent, task_id=task_id, **more)

    async def set_status(self, task_id: int, status: str, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("update_task_status", agent, task_id=task_id, status=status, **more)

    async def edit(self, task_id: int, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("update_task", agent, task_id=task_id, **more)

    async def head(self) -> int:
        """The number of the last event."""
        head: int = (await self.do("wait_for_events", since=0, limit=1))["head"]
        return head

    async def events(self, since: int = 0, *types: str) -> list[Json]:
        """Everything that happened after `since`."""
        found: list[Json] = []
        while True:
            page = await self.do("wait_for_events", since=since, types=list(types), limit=500)
            found += page["items"]
            since = page["last_seq"]
            if since == page["head"]:
                return found

    async def logs(self, task_id: int) -> list[Json]:
        """Oldest first."""
        page = await self.do("list_task_logs", task_id=task_id, limit=500)
        return list(reversed(page["items"]))

    async def _as_agent(self, operation: str, agent: str | None, **raw: Any) -> Json:
        done: Json = await self.do(operation, **raw, **({} if agent is None else {"agent_id": agent}))
        return done
