"""The operations of the service, called directly without an interface."""

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.clock import parse_rfc3339, rfc3339
from project_manager.domain.actors import LOCAL, SYSTEM, Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.runtime import maintenance
from project_manager.runtime.calls import Caller, OperationResult
from project_manager.runtime.dispatch import Runtime

TIMEOUT = 20.0
DAY_MS = 24 * 3600 * 1000
Refusal = TypeVar("Refusal", bound=ProjectManagerError)
Json = dict[str, Any]


@dataclass
class MovableClock:
    """A clock that only the test moves. `wall_error` is the error of the wall clock, in milliseconds."""

    instant: int = field(default_factory=lambda: parse_rfc3339("2026-11-23T10:00:00Z"))
    wall_error: int = 0
    run: str = ""

    def now(self) -> int:
        return self.instant + self.wall_error

    def boottime(self) -> int:
        return self.instant

    def boot_id(self) -> str:
        return self.run

    def advance(self, seconds: float) -> None:
        self.instant += int(seconds * 1000)

    def later(self, seconds: float) -> str:
        """Return the instant in this number of seconds, in the format of the API."""
        return rfc3339(self.instant + int(seconds * 1000))


async def run_due_jobs(runtime: Runtime) -> None:
    """End the leases and deferrals that are due, and return when that is committed."""
    await runtime.database.writer.run("sweep", lambda tx: None, SYSTEM, "")


async def delete_events(runtime: Runtime, *, days: int) -> None:
    """Run the job that deletes the events that are older than `days`."""
    await maintenance.delete_expired(runtime.database, event_days=days)


def clear_identities(runtime: Runtime) -> None:
    """Clear the cache of authenticated callers."""
    runtime._identities._actors._entries.clear()
    runtime._identities._bound._entries.clear()


def invalid_fields(error: ProjectManagerError) -> list[str]:
    """Return the names of the fields in an error about invalid fields."""
    errors: Any = error.details["errors"]
    return [fault["field"] for fault in errors]


@dataclass(frozen=True)
class OperationsClient:
    """The operations of users and agents, one method for each. Every call has a time limit."""

    runtime: Runtime
    clock: MovableClock
    actor: Actor = LOCAL

    def acting_as(self, actor: Actor) -> "OperationsClient":
        return replace(self, actor=actor)

    async def run(self, operation: str, *, key: str | None = None, **raw: Any) -> OperationResult:
        with anyio.fail_after(TIMEOUT):
            return await self.runtime.run(BY_NAME[operation], raw, Caller(self.actor, "rest", "test", key))

    async def call(self, operation: str, *, key: str | None = None, **raw: Any) -> Any:
        """Run an operation and return its response as parsed JSON."""
        return orjson.loads((await self.run(operation, key=key, **raw)).body)

    async def stream_text(self, operation: str, **raw: Any) -> str:
        """Return the whole text of a streamed operation."""
        pieces: list[str] = []
        with anyio.fail_after(TIMEOUT):
            async with self.runtime.stream(BY_NAME[operation], raw, Caller(self.actor, "rest", "test")) as (_, fetch):
                while piece := await fetch():
                    pieces.append(piece)
        return "".join(pieces)

    async def call_error(self, error: type[Refusal], operation: str, *, key: str | None = None, **raw: Any) -> Refusal:
        with pytest.raises(error) as caught:
            await self.call(operation, key=key, **raw)
        return caught.value

    async def advance(self, seconds: float) -> None:
        """Move the clock and run the jobs that are due."""
        self.clock.advance(seconds)
        with anyio.fail_after(TIMEOUT):
            await run_due_jobs(self.runtime)

    async def create_task(self, name: str = "Paint the fence", **fields: Any) -> Json:
        made: Json = await self.call("create_task", name=name, **{"project_name": "Garden", **fields})
        return made

    async def get_task(self, task_id: int) -> Json:
        found: Json = await self.call("get_task", task_id=task_id)
        return found

    async def claim(self, task_id: int, agent: str, **more: Any) -> Json:
        """Claim a task and return the lock."""
        lock: Json = (await self.call("acquire_task_lock", task_id=task_id, agent_id=agent, **more))["lock"]
        return lock

    async def claim_next(self, agent: str, **more: Any) -> Json:
        claimed: Json = await self.call("claim_next_task", agent_id=agent, **more)
        return claimed

    async def release(self, task_id: int, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("release_task_lock", agent, task_id=task_id, **more)

    async def set_status(self, task_id: int, status: str, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("update_task_status", agent, task_id=task_id, status=status, **more)

    async def update_task(self, task_id: int, agent: str | None = None, **more: Any) -> Json:
        return await self._as_agent("update_task", agent, task_id=task_id, **more)

    async def last_seq(self) -> int:
        """Return the number of the last event."""
        head: int = (await self.call("wait_for_events", since=0, limit=1))["head"]
        return head

    async def events(self, since: int = 0, *types: str) -> list[Json]:
        """Return all events after `since`."""
        found: list[Json] = []
        while True:
            page = await self.call("wait_for_events", since=since, types=list(types), limit=500)
            found += page["items"]
            since = page["last_seq"]
            if since == page["head"]:
                return found

    async def logs(self, task_id: int) -> list[Json]:
        """Return the log entries of a task, oldest first."""
        page = await self.call("list_task_logs", task_id=task_id, limit=500)
        return list(reversed(page["items"]))

    async def _as_agent(self, operation: str, agent: str | None, **raw: Any) -> Json:
        done: Json = await self.call(operation, **raw, **({} if agent is None else {"agent_id": agent}))
        return done
