"""Several instances on one database: a token that one instance revokes ends the open connections on all instances."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import TaskGroup, TaskStatus
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.mcp_listener import ACCEPT, TIMEOUT, Wire, modern
from tests.e2e.mcp_process import Service, free_ports, service


@asynccontextmanager
async def client_of(running: Service, session: str = "") -> AsyncIterator[Wire]:
    """Return a client of this instance. It continues `session` if one is given."""
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=running.mcp, headers=headers, timeout=TIMEOUT, trust_env=False, verify=False
    ) as http:
        wire = Wire(http)
        wire.session = session
        yield wire


class Caller:
    """The open connections of one caller, and how each of them ended."""

    def __init__(self, secret: str) -> None:
        self.headers = {"authorization": f"Bearer {secret}"}
        self.ended: dict[str, str] = {}
        self.everything_ended = anyio.Event()
        self._open = 0

    def _opened(self) -> None:
        self._open += 1

    def _has_ended(self, name: str, how: str) -> None:
        self.ended[name] = how
        if len(self.ended) == self._open:
            self.everything_ended.set()

    async def watch(self, running: Service, name: str, *, task_status: TaskStatus[None]) -> None:
        address = running.api.replace("http", "ws") + "/ws/updates"
        async with connect(address, additional_headers=self.headers, proxy=None) as socket:
            await socket.recv()
            self._opened()
            task_status.started()
            try:
                while True:
                    await socket.recv()
            except ConnectionClosed as closed:
                self._has_ended(f"{name} websocket", f"{closed.rcvd and closed.rcvd.code}")

    async def stream(self, running: Service, name: str, path: str, *, task_status: TaskStatus[None]) -> None:
        async with client_of(running) as wire:
            wire.http.headers.update(self.headers)
            if path == "/mcp":
                await wire.initialize()
            async with wire.http.stream("GET", path, headers=wire.headers, timeout=None) as opened:
                assert opened.status_code == 200
                self._opened()
                task_status.started()
                async for _ in opened.aiter_bytes():
                    pass
            self._has_ended(f"{name} {path}", "eof")

    async def listen(self, running: Service, name: str, *, task_status: TaskStatus[None]) -> None:
        notifications = {"resourceSubscriptions": ["pm://task/1"]}
        asked = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "subscriptions/listen",
            "params": {"notifications": notifications},
        }
        body, routing = modern(asked)
        async with client_of(running) as wire:
            headers = {**self.headers, **routing}
            async with wire.http.stream("POST", "/mcp", json=body, headers=headers, timeout=None) as opened:
                assert opened.status_code == 200
                self._opened()
                task_status.started()
                async for _ in opened.aiter_bytes():
                    pass
            self._has_ended(f"{name} listen", "eof")

    async def open_all(self, tasks: TaskGroup, running: Service, name: str) -> None:
        await tasks.start(self.watch, running, name)
        await tasks.start(self.stream, running, name, "/mcp")
        await tasks.start(self.stream, running, name, "/sse")
        await tasks.start(self.listen, running, name)


async def create_token(http: httpx.AsyncClient, name: str, role: str, **headers: str) -> Any:
    answer = await http.post("/api/tokens", json={"name": name, "role": role}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


ENDED = {"websocket": "4401", "/mcp": "eof", "/sse": "eof", "listen": "eof"}


@pytest.mark.promise("access:tokens")
async def test_revoking_a_token_ends_its_streams_on_every_instance(tmp_path: Path) -> None:
    database = tmp_path / "pm.db"
    async with (
        service(database, free_ports()) as first,
        service(database, free_ports()) as second,
        httpx.AsyncClient(base_url=first.api, timeout=TIMEOUT, trust_env=False, verify=False) as http,
    ):
        anonymous = Caller("")
        anonymous.headers = {}
        async with anyio.create_task_group() as tasks:
            await anonymous.open_all(tasks, second, "second")
            operator = await create_token(http, "ada", "operator")
            authorization = {"authorization": f"Bearer {operator['secret']}"}
            agent = await create_token(http, "worker", "agent", **authorization)
            revoked_agent, lasting = Caller(agent["secret"]), Caller(operator["secret"])
            for running, name in ((first, "first"), (second, "second")):
                await revoked_agent.open_all(tasks, running, name)
                await lasting.open_all(tasks, running, name)
            revoked = await http.delete(f"/api/tokens/{agent['id']}", headers=authorization)
            assert revoked.status_code == 200
            with anyio.fail_after(2 * TIMEOUT):
                await revoked_agent.everything_ended.wait()
                await anonymous.everything_ended.wait()
            assert revoked_agent.ended == {
                f"{name} {kind}": how for name in ("first", "second") for kind, how in ENDED.items()
            }
            assert anonymous.ended == {f"second {kind}": how for kind, how in ENDED.items()}
            assert lasting.ended == {}
            tasks.cancel_scope.cancel()
