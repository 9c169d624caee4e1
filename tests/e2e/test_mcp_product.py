"""Agents at work through the real service: every transport at once, restarts, kills and stops."""

import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client

from tests.e2e.mcp_listener import ACCEPT, TIMEOUT, Wire, call
from tests.e2e.mcp_process import Service, free_ports, service, stdio_command


def bare(address: str) -> httpx.AsyncClient:
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=TIMEOUT, trust_env=False, verify=False)


def clients(running: Service, database: Path) -> list[AbstractAsyncContextManager[Client]]:
    """Return a client for each transport and protocol version."""
    command, *arguments = stdio_command(database)
    return [
        Client(f"{running.mcp}/mcp"),
        Client(f"{running.mcp}/mcp", mode="legacy"),
        Client(f"{running.api}/mcp"),
        Client(sse_client(f"{running.mcp}/sse")),
        Client(sse_client(f"{running.api}/sse"), mode="legacy"),
        Client(StdioServerParameters(command=command, args=arguments)),
        Client(StdioServerParameters(command=command, args=arguments), mode="legacy"),
    ]


async def ok(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


@pytest.mark.promise("lease:exclusive")
async def test_agents_on_all_transports_never_share_a_task(tmp_path: Path) -> None:
    database, claims = tmp_path / "pm.db", list[tuple[int, str]]()
    async with service(database, free_ports()) as running:
        async with Client(f"{running.mcp}/mcp") as planner:
            for number in range(40):
                await ok(planner, "create_task", name=f"task {number}", project_name="shared")

        async def work(agent_id: str, opening: AbstractAsyncContextManager[Client]) -> None:
            async with opening as client:
                while True:
                    claim = await ok(client, "claim_next_task", agent_id=agent_id)
                    if "task" not in claim:
                        return
                    task_id = claim["task"]["id"]
                    claims.append((task_id, agent_id))
                    held = {"task_id": task_id, "agent_id": agent_id, "fence": claim["lock"]["fence"]}
                    await ok(client, "update_task_status", status="DONE", **held)

        with anyio.fail_after(40):
            async with anyio.create_task_group() as tasks:
                for number, opening in enumerate(clients(running, database)):
                    tasks.start_soon(work, f"agent-{number}", opening)
    assert sorted(task_id for task_id, _ in claims) == list(range(1, 41))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
async def test_sessions_continue_after_the_service_is_restarted(tmp_path: Path, sent: signal.Signals) -> None:
    ports, database = free_ports(), tmp_path / "pm.db"
    async with bare(f"http://127.0.0.1:{ports[1]}") as http:
        wire = Wire(http)
        async with service(database, ports) as running:
            await wire.initialize()
            assert (await wire.post(call("create_task", name="one", project_name="p"))).status_code == 200
            await running.stop(sent)
        async with service(database, ports):
            answer = await wire.post(call("claim_next_task", agent_id="ann"))
            assert answer.json()["result"]["structuredContent"]["task"]["name"] == "one"
            waiting = await wire.post(call("claim_next_task", agent_id="ann", wait_seconds=1))
            assert "no task is ready for you" in waiting.text


async def test_the_service_stops_in_time_with_every_kind_of_stream_open(tmp_path: Path) -> None:
    async with service(tmp_path / "pm.db", free_ports()) as running, bare(running.mcp) as http:
        wire = Wire(http)
        await wire.initialize()
        answers: list[httpx.Response] = []
        ended: list[str] = []

        async def stream(name: str, path: str, *, task_status: Any) -> None:
            async with http.stream("GET", path, headers=wire.headers if path == "/mcp" else {}) as opened:
                task_status.started()
                async for _ in opened.aiter_bytes():
                    pass
                ended.append(name)

        async def listen(*, task_status: Any) -> None:
            async with (
                Client(f"{running.mcp}/mcp") as client,
                client.listen(resource_subscriptions=["pm://task/1"]) as events,
            ):
                task_status.started()
                async for _ in events:
                    pass
                ended.append("listen")

        async def wait() -> None:
            answers.append(await wire.post(call("claim_next_task", agent_id="ann", wait_seconds=50)))

        async with anyio.create_task_group() as tasks:
            await tasks.start(stream, "notifications", "/mcp")
            await tasks.start(stream, "sse", "/sse")
            await tasks.start(listen)
            tasks.start_soon(wait)
            assert (await http.get(f"{running.api}/livez")).status_code == 200
            assert await running.stop() == 0
        assert sorted(ended) == ["listen", "notifications", "sse"]
        assert "SHUTTING_DOWN" in answers[0].text


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("protocol", ["2025", "2026"])
@pytest.mark.parametrize("refused", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
async def test_a_request_from_a_foreign_origin_is_refused_on_the_fast_path(
    tmp_path: Path, protocol: str, refused: dict[str, str]
) -> None:
    async with service(tmp_path / "pm.db", free_ports()) as running:
        for address in (running.api, running.mcp):
            async with bare(address) as http:
                wire = Wire(http)
                await wire.initialize()
                post = wire.post if protocol == "2025" else wire.post_modern
                assert (await post(call("list_projects"))).status_code == 200
                assert (await post(call("list_projects"), refused)).status_code == 403


@pytest.mark.promise("events:other-processes")
async def test_stdio_and_the_service_receive_the_changes_of_each_other(tmp_path: Path) -> None:
    database = tmp_path / "pm.db"
    command, *arguments = stdio_command(database)
    async with (
        service(database, free_ports()) as running,
        Client(f"{running.mcp}/mcp") as http,
        Client(StdioServerParameters(command=command, args=arguments)) as pipe,
    ):
        await ok(http, "create_task", name="one", project_name="p")
        found: list[Any] = []

        async def wait() -> None:
            found.append(await ok(http, "wait_for_events", since=2, types=["task.locked"], wait_seconds=20))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await ok(pipe, "acquire_task_lock", task_id=1, agent_id="over the pipe")
        assert orjson.dumps(found[0]["items"][0]["agent_id"]) == b'"over the pipe"'
