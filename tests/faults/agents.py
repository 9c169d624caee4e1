"""Agents that work through a project, each through its own door, and do not give up when a server dies."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import httpx2
import orjson
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

from project_manager.clock import monotonic
from tests.e2e.service import COMMAND, Service, environment
from tests.faults.history import Hold

WAIT, ANSWER, BACK_OFF = 1, 2, 0.05
LOST = (OSError, httpx.HTTPError, httpx2.HTTPError, MCPError, ExceptionGroup, anyio.BrokenResourceError)
"""What a client meets whose server goes away. It comes back and asks again."""

Call = Callable[..., Awaitable[dict[str, Any]]]
Door = Callable[[], AbstractAsyncContextManager[Call]]

ROUTES = {
    "claim_next_task": ("POST", "/api/tasks/claim"),
    "add_task_log": ("POST", "/api/tasks/{task_id}/log"),
    "update_task_status": ("POST", "/api/tasks/{task_id}/status"),
    "release_task_lock": ("DELETE", "/api/tasks/{task_id}/lock"),
}


class Refused(Exception):
    """The service said no; the text is what it said."""


def rest(service: Service) -> Door:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Call]:
        async with service.client() as http:

            async def call(name: str, **arguments: Any) -> dict[str, Any]:
                method, path = ROUTES[name]
                answer = await http.request(method, path.format(**arguments), json=arguments)
                if answer.status_code in (502, 503):
                    raise ConnectionError(answer.text)
                if not answer.is_success:
                    raise Refused(answer.text)
                found: dict[str, Any] = orjson.loads(answer.content)
                return found

            yield call

    return open_


def mcp(open_client: Callable[[], AbstractAsyncContextManager[Client]]) -> Door:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Call]:
        async with open_client() as client:

            async def call(name: str, **arguments: Any) -> dict[str, Any]:
                with anyio.fail_after(WAIT + ANSWER):
                    result = await client.call_tool(name, arguments)
                if not result.is_error:
                    return dict(result.structured_content or {})
                text = getattr(result.content[0], "text", "")
                if text.startswith(("SHUTTING_DOWN", "DATABASE_BUSY")):
                    raise ConnectionError(text)
                raise Refused(text)

            yield call

    return open_


def over_http(service: Service, mode: Any) -> Door:
    return mcp(lambda: Client(f"{service.mcp_url}/mcp", mode=mode))


def over_sse(service: Service) -> Door:
    return mcp(lambda: Client(sse_client(f"{service.mcp_url}/sse"), mode="legacy"))


def over_stdio(service: Service) -> Door:
    """A process of its own on the same database."""
    variables = environment(DATABASE_PATH=str(service.database), LOG_FILE=str(service.folder / "stdio.log"))
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "mcp"], env=variables)

    @asynccontextmanager
    async def open_client() -> AsyncIterator[Client]:
        with (service.folder / "stdio-errors").open("a") as errors:
            async with Client(stdio_client(parameters, errlog=errors)) as client:
                yield client

    return mcp(open_client)


class Meeting:
    """Nobody goes on before everybody came."""

    def __init__(self, agents: int) -> None:
        self._agents = agents
        self._here: set[str] = set()
        self._all_here = anyio.Event()

    async def come(self, agent: str) -> None:
        self._here.add(agent)
        if len(self._here) == self._agents:
            self._all_here.set()
        await self._all_here.wait()


@dataclass
class Ledger:
    """What all agents of a test saw."""

    tasks: int
    agents: int
    holds: list[Hold] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    lost: int = 0
    one_more: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.all_connected = Meeting(self.agents)
        self.all_hold_one = Meeting(self.agents)

    @property
    def complete(self) -> bool:
        return len(self.finished) >= self.tasks

    def finish(self, task_id: int) -> None:
        self.finished.append(task_id)
        self.one_more.set()
        self.one_more = anyio.Event()

    async def until(self, finished: int) -> None:
        """Waits until so many are finished."""
        while len(self.finished) < finished:
            await self.one_more.wait()


class Agent:
    """Claims, reports, and finishes or (every third task, once) gives back, until everything is finished."""

    def __init__(self, name: str, door: Door, ledger: Ledger) -> None:
        self.name = name
        self._door = door
        self._ledger = ledger
        self._steps = self._work()
        self._pending: tuple[str, dict[str, Any]] | None = None
        self._answer: dict[str, Any] | None = None

    async def run(self) -> None:
        """What was asked and not answered is asked again, with the same request_id, through a new connection."""
        while not self._ledger.complete:
            try:
                async with self._door() as call:
                    await self._ledger.all_connected.come(self.name)
                    await self._go_on(call)
            except LOST:
                self._ledger.lost += 1
                await anyio.sleep(BACK_OFF)

    async def _go_on(self, call: Call) -> None:
        while not self._ledger.complete:
            if self._pending is None:
                name, arguments = self._steps.send(self._answer)
                self._pending = name, {**arguments, "agent_id": self.name, "request_id": secrets.token_hex(8)}
            name, arguments = self._pending
            self._answer = await call(name, **arguments)
            self._pending = None
            if self._answer.get("task") is not None and name == "claim_next_task":
                await self._ledger.all_hold_one.come(self.name)

    def _work(self) -> Generator[tuple[str, dict[str, Any]], Any, None]:
        while True:
            claimed = yield "claim_next_task", {"wait_seconds": WAIT}
            if claimed.get("task") is None:
                continue
            began = monotonic()
            lock = claimed["lock"]
            task_id = claimed["task"]["id"]
            held = {"task_id": task_id, "fence": lock["fence"]}
            yield "add_task_log", {**held, "body": f"{self.name} under {lock['fence']}"}
            again = task_id % 3 == 0 and lock["fence"] == 1
            hold = Hold(task_id, self.name, lock["fence"], began, monotonic())
            self._ledger.holds.append(hold)
            if again:
                yield "release_task_lock", {**held, "handoff": "somebody else finishes it"}
            else:
                yield "update_task_status", {**held, "status": "DONE"}
                self._ledger.finish(task_id)
