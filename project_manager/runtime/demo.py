"""The demo within the server: its scripted agents call the operations of this process."""

import logging
import secrets
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anyio
import orjson

from project_manager.catalogue import operation_at
from project_manager.demo.run import DemoRun
from project_manager.demo.runner import run_agents
from project_manager.demo.service import RETRIES, RETRY_SECONDS, Json, Rejected, Unavailable
from project_manager.domain import service_errors
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import ProjectManagerError
from project_manager.observability.logging import log_action
from project_manager.operations.definition import Operation
from project_manager.operations.demo import DEMO_AGENTS
from project_manager.runtime.background import SERVICE, Job
from project_manager.runtime.calls import Caller

if TYPE_CHECKING:
    from project_manager.runtime.dispatch import Runtime

log = logging.getLogger(__name__)

ACTOR = Actor("demo-person", "human", Role.AGENT)
"""The caller of all calls of the demo. It has no more rights than an agent, and acts as each of the agents."""


class InProcessApi:
    """The API of this process, without HTTP and without a token."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def call(self, method: str, path: str, *, retries: int = RETRIES, **body: object) -> Json:
        """Run the operation of the route and return its result. Raises Rejected, Unavailable."""
        operation, named = operation_at(method, path)
        for _ in range(retries):
            try:
                return await self._run(operation, {**body, **named})
            except Unavailable:
                await anyio.sleep(RETRY_SECONDS)
        return await self._run(operation, {**body, **named})

    async def _run(self, operation: Operation, raw: dict[str, Any]) -> Json:
        caller = Caller(ACTOR, "rest", secrets.token_hex(8), is_internal=True)
        try:
            result = await self._runtime.run(operation, raw, caller)
        except service_errors.Unavailable as error:
            raise Unavailable(error.message) from error
        except ProjectManagerError as error:
            raise Rejected(error.message, error.code, error.hint) from error
        found: Json = orjson.loads(result.body)
        return found


class DemoAgents:
    """The background job with the agents. `start` takes the result of the operation that starts the demo.

    `speed` divides all durations.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._api = InProcessApi(runtime)
        # Not a stream, which a runtime without background jobs would leave open.
        self._waiting: deque[int] = deque()
        self._requested = anyio.Event()
        self._project_id = 0
        self.speed = 1.0
        runtime.jobs.register(Job(DEMO_AGENTS, self._run, self._due, SERVICE))

    def start(self, project: Any) -> None:
        """Run the agents on this project. One demo runs at a time, because a second one needs an empty server."""
        self._waiting.append(project.id)
        self._requested.set()

    async def _due(self) -> None:
        while not self._waiting:
            self._requested = anyio.Event()
            await self._requested.wait()
        self._project_id = self._waiting.popleft()

    async def _run(self) -> None:
        """Run the agents until the work is done, five minutes are over, or the project is deleted."""
        log_action(log, "demo_started", project_id=self._project_id)
        demo = DemoRun(self._api, self._project_id, self.speed, lambda line: None)
        reasons: list[str] = []
        try:
            await run_agents(demo)
        except ExceptionGroup as group:
            ended, other = group.split((Rejected, Unavailable))
            if other is not None:
                raise other from group
            reasons = sorted({str(error) for error in _leaves(ended)})
        log_action(log, "demo_ended", project_id=self._project_id, reason="; ".join(reasons) or "finished")


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    elif error is not None:
        yield error
