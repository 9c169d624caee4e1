"""Subscribers: one that does not read delays no other, and one that reconnects misses no event."""

import json
import random

import anyio
import anyio.to_thread
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service, sample
from tests.e2e.sockets import read_frames, stalled_websocket
from tests.faults import history

CUT_OFF_SECONDS = 15
"""Seconds, longer than a client may go without reading."""
CLIENTS, WRITES, BACK_OFF = 25, 200, 0.05


@pytest.fixture
def make_service(make_service_on: Start) -> Start:
    return make_service_on


@pytest.mark.sqlite_only
async def test_a_client_that_does_not_read_delays_no_other_and_loses_nothing(start_service: Start) -> None:
    service = start_service()
    with service.http() as http, stalled_websocket(service.port) as stalled:
        async with connect(service.websocket_url, proxy=None) as reading, anyio.create_task_group() as tasks:
            await reading.recv()
            tasks.start_soon(anyio.to_thread.run_sync, write_much, http)
            seen = [json.loads(await received(reading))["seq"]]
            while seen[-1] < 8001:
                seen.append(json.loads(await received(reading))["seq"])
        assert seen == list(range(1, 8002))
        service.wait_until(lambda: dropped(http), CUT_OFF_SECONDS)
        frames = list(read_frames(stalled))
        assert dropped(http) == 1
    kind, body = frames[-1]
    assert (kind, body[:2]) == ("close", (1013).to_bytes(2))
    before = [json.loads(text)["seq"] for kind, text in frames[1:-1] if kind == "text"]
    assert before == list(range(1, len(before) + 1))
    async with connect(f"{service.websocket_url}?since={before[-1]}", proxy=None) as back:
        await back.recv()
        after = [json.loads(await received(back))["seq"] for _ in range(8001 - len(before))]
    assert before + after == list(range(1, 8002))


def write_much(http: httpx.Client) -> None:
    for _ in range(16):
        assert http.post("/api/tasks/bulk", json={"tasks": [{"name": "n" * 200}] * 500}).status_code == 201


async def received(websocket: ClientConnection) -> str:
    with anyio.fail_after(TIMEOUT):
        return str(await websocket.recv())


def dropped(http: httpx.Client) -> int:
    return int(sample(http.get("/metrics").text, "pm_subscribers_dropped_total"))


async def test_clients_that_reconnect_all_receive_the_same_events(start_service: Start) -> None:
    service = start_service()
    stories: list[list[int]] = [[] for _ in range(CLIENTS)]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number, story in enumerate(stories):
                tasks.start_soon(connect_and_disconnect, service, story, random.Random(number))
            await write_some(service)
            await anyio.to_thread.run_sync(start_again, service)
            await write_some(service)
    with service.http() as http:
        numbers = [event["seq"] for event in history.all_events(http)]
    assert len(numbers) == 2 * WRITES + 1
    assert all(story == numbers for story in stories)


def start_again(service: Service) -> None:
    assert service.stop() == 0
    service.start()


async def write_some(service: Service) -> None:
    async with service.client() as http:
        for _ in range(WRITES):
            assert (await http.post("/api/tasks", json={"name": "one more"})).status_code == 201


async def connect_and_disconnect(service: Service, story: list[int], chance: random.Random) -> None:
    """Read some events, disconnect without a close, and resume with the last number until all events are read."""
    while not story or story[-1] < 2 * WRITES + 1:
        url = f"{service.websocket_url}?since={story[-1] if story else 0}&batch={chance.choice('01')}"
        try:
            async with connect(url, proxy=None) as websocket:
                hello = json.loads(await websocket.recv())
                assert hello["type"] == "hello"
                for _ in range(chance.randrange(1, 60)):
                    frame = json.loads(await websocket.recv())
                    story.extend(event["seq"] for event in frame.get("events", [frame]))
                    if story[-1] == 2 * WRITES + 1:
                        return
                websocket.transport.abort()
        except (ConnectionClosed, InvalidHandshake, OSError):
            await anyio.sleep(BACK_OFF)
