"""Responses as large as the database: they are streamed and never held in memory as a whole."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import yaml

from project_manager.catalogue import BY_NAME
from project_manager.domain.service_errors import QueueFull
from project_manager.plans.progress import report_to
from project_manager.runtime.calls import Caller
from project_manager.services import board
from project_manager.store import bulk, long_reads
from project_manager.web import streaming
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, Json, OperationsClient

pytestmark = pytest.mark.slow

LONG = "0123456789abcde\n" * 4096
"""The maximum length of a description."""


async def lengthy(api: OperationsClient, tasks: int = 20) -> None:
    """Return more text than one page may carry."""
    for first in range(0, tasks, 10):
        new = [{"name": f"task {number}", "description": LONG} for number in range(first, first + 10)]
        await api.call("create_tasks", project_name="Garden", tasks=new)


# pages


async def pages(api: OperationsClient, operation: str, **filters: Any) -> list[list[Json]]:
    found: list[list[Json]] = []
    cursor: Json = {}
    while True:
        page = await api.call(operation, limit=500, **filters, **cursor)
        found.append(page["items"])
        if page["next_cursor"] is None:
            assert page["total"] == sum(map(len, found))
            return found
        cursor = {"cursor": page["next_cursor"]}


async def long_epics(api: OperationsClient, number: int) -> None:
    await api.call("create_epic", project_id=1, name=f"epic {number}", description=LONG)


async def long_projects(api: OperationsClient, number: int) -> None:
    await api.call("create_project", name=f"project {number}", description=LONG)


async def long_entries(api: OperationsClient, number: int) -> None:
    await api.call("add_task_log", task_id=1, body=f"{number}{LONG[:-4]}")


async def long_edits(api: OperationsClient, number: int) -> None:
    await api.update_task(1, description=f"{number}{LONG[:-4]}")


async def long_tasks(api: OperationsClient, number: int) -> None:
    await api.create_task(f"task {number}", description=LONG)


async def long_knowledge(api: OperationsClient, number: int) -> None:
    await api.call("upsert_knowledge", project_id=1, title=f"item {number}", content=LONG)


LENGTHY: list[tuple[str, Json, Callable[[OperationsClient, int], Any]]] = [
    ("list_tasks", {}, long_tasks),
    ("list_epics", {}, long_epics),
    ("list_projects", {}, long_projects),
    ("list_task_logs", {"task_id": 1}, long_entries),
    ("list_task_events", {"task_id": 1}, long_edits),
    ("get_knowledge", {"project_id": 1}, long_knowledge),
]


@pytest.mark.promise("memory:bounded")
@pytest.mark.promise("request:pages")
@pytest.mark.parametrize(("operation", "filters", "make"), LENGTHY, ids=lambda value: str(value)[:24])
async def test_a_page_ends_where_its_text_is_long_and_the_next_one_continues(
    api: OperationsClient, operation: str, filters: Json, make: Callable[[OperationsClient, int], Any]
) -> None:
    await api.create_task("first")
    for number in range(20):
        await make(api, number)
    found = await pages(api, operation, **filters)
    assert len(found) > 1
    assert all(found)
    ids = [row.get("id", row.get("seq")) for page in found for row in page]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 20


async def test_rows_without_their_descriptions_are_all_on_one_page(api: OperationsClient) -> None:
    await lengthy(api)
    assert [len(page) for page in await pages(api, "list_tasks", fields=["compact"])] == [20]
    assert [len(page) for page in await pages(api, "get_available_tasks")] == [20]


@pytest.mark.promise("memory:bounded")
async def test_events_with_long_texts_are_read_in_pages_without_a_gap(api: OperationsClient) -> None:
    await api.create_task()
    for number in range(20):
        await long_edits(api, number)
    first = await api.call("wait_for_events", since=0, limit=500)
    assert first["last_seq"] == first["items"][-1]["seq"] < first["head"]
    assert [event["seq"] for event in await api.events()] == list(range(1, await api.last_seq() + 1))


# the board


@pytest.mark.promise("memory:bounded")
async def test_the_board_has_the_beginning_of_long_descriptions_and_short_ones_whole(
    service: HttpService, api: OperationsClient
) -> None:
    texts = ["", "short", "é" * 280, "é" * 281, LONG]
    for number, text in enumerate(texts):
        await api.create_task(f"task {number}", description=text)
    cards = (await service.ok("GET", "/api/board/state"))["tasks"]
    assert [card["description"] for card in cards] == [text[:280] for text in texts]
    assert ["description_truncated" in card for card in cards] == [False, False, False, True, True]
    assert (await api.get_task(5))["description"] == LONG


@pytest.mark.promise("memory:bounded")
async def test_projects_and_epics_are_shortened_on_the_board_and_nowhere_else(
    service: HttpService, api: OperationsClient
) -> None:
    await api.call("create_project", name="Long", description=LONG)
    await api.call("create_epic", project_id=1, name="Long", description=LONG)
    await api.call("create_epic", project_id=1, name="Short", description="short")
    shown = await service.ok("GET", "/api/board/state")
    long, short = shown["epics"]
    for cut in (shown["projects"][0], long):
        assert (cut["description"], cut["description_truncated"]) == (LONG[:280], True)
    assert short == await api.call("get_epic", epic_id=2)
    document = yaml.safe_load(await api.stream_text("export_plan"))["projects"][0]
    assert [document["description"], document["epics"][0]["description"]] == [LONG, LONG]


@pytest.mark.promise("memory:bounded")
async def test_a_board_that_is_too_large_is_refused_with_an_alternative(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many"}] * 30)
    await api.create_task("alone", project_name="House")
    monkeypatch.setattr(board, "BOARD_BYTES", 10_000)
    error = await service.error(413, "GET", "/api/board/state")
    assert (error["code"], error["details"]) == ("response_too_large", {"limit": 10_000})
    assert len((await service.ok("GET", "/api/board/state?project_id=2"))["tasks"]) == 1


async def test_a_board_of_many_cards_has_each_once_in_order(service: HttpService, api: OperationsClient) -> None:
    for _ in range(3):
        await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many"}] * 500)
    cards = (await service.ok("GET", "/api/board/state"))["tasks"]
    assert [card["id"] for card in cards] == list(range(1, 1501))


# exports


@pytest.mark.promise("memory:bounded")
async def test_an_export_comes_in_pieces_that_are_the_same_in_every_form(
    service: HttpService, api: OperationsClient
) -> None:
    await lengthy(api)
    for form in ("yaml", "json"):
        document = await api.stream_text("export_plan", format=form)
        answer = await service.send("GET", f"/api/export?format={form}")
        assert answer.headers["content-type"] == "application/json"
        assert "content-length" not in answer.headers
        assert answer.json() == {"format": form, "document": document}
        bare = await service.send("GET", f"/api/export?format={form}", Accept="application/yaml")
        assert (bare.headers["content-type"], bare.text) == ("application/yaml", document)


async def test_an_export_that_cannot_begin_is_refused_as_anything_else(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    assert (await service.error(404, "GET", "/api/export?project=Attic"))["code"] == "project_not_found"
    assert (await service.error(422, "GET", "/api/export?format=xml"))["code"] == "invalid"
    assert (await service.error(405, "POST", "/api/export"))["code"] == "method_not_allowed"
    head = await service.send("HEAD", "/api/export")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/json")


@pytest.mark.promise("plan:round-trip")
async def test_an_export_is_a_snapshot_despite_concurrent_writes(api: OperationsClient) -> None:
    await lengthy(api)
    before = await api.stream_text("export_plan")
    async with api.runtime.stream(BY_NAME["export_plan"], {}, Caller(api.actor, "rest", "test")) as (_, fetch):
        pieces = [await fetch()]
        await api.update_task(20, description="changed meanwhile")
        await api.create_task("made meanwhile")
        while piece := await fetch():
            pieces.append(piece)
    assert len(pieces) > 3
    assert "".join(pieces) == before
    assert "made meanwhile" in await api.stream_text("export_plan")


@pytest.mark.promise("memory:bounded")
async def test_exports_beyond_the_limit_are_refused_with_retry_after(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create_task()
    monkeypatch.setattr(long_reads, "WAIT_SECONDS", 0.01)
    async with AsyncExitStack() as held:
        for _ in range(long_reads.MAX_CONCURRENT):
            caller = Caller(api.actor, "rest", "test")
            await held.enter_async_context(api.runtime.stream(BY_NAME["export_plan"], {}, caller))
        answer = await service.send("GET", "/api/export")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        assert answer.headers["retry-after"] == "1"
        with pytest.raises(QueueFull):
            await api.stream_text("export_plan")
    assert (await service.send("GET", "/api/export")).status_code == 200


# slow and disconnected clients, and incomplete responses


@contextmanager
def asked_and_not_read(port: int, path: str) -> Iterator[socket.socket]:
    """Send a request and read no response. The kernel buffers as little of it as possible."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIMEOUT)
        connection.connect(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


async def cut_off(api: OperationsClient, caplog: pytest.LogCaptureFixture, times: int) -> None:
    with anyio.fail_after(TIMEOUT):
        while caplog.messages.count("cut_off") < times:
            await api.get_task(1)


@pytest.mark.slow
@pytest.mark.promise("memory:bounded")
async def test_a_client_that_does_not_read_is_disconnected_and_frees_its_place(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await lengthy(api, 150)
    whole = await api.stream_text("export_plan")
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.1)
    with ExitStack() as opened:
        stalled = [
            opened.enter_context(asked_and_not_read(service.port, "/api/export"))
            for _ in range(long_reads.MAX_CONCURRENT)
        ]
        await cut_off(api, caplog, long_reads.MAX_CONCURRENT)
        assert await api.stream_text("export_plan") == whole
        for connection in stalled:
            got = await anyio.to_thread.run_sync(rest_of, connection)
            assert got.startswith(b"HTTP/1.1 200")
            assert not got.endswith(b"0\r\n\r\n")
            assert len(got) < len(whole)


@pytest.mark.slow
@pytest.mark.promise("memory:bounded")
async def test_a_client_that_does_not_read_a_large_page_is_disconnected(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = {"name": "n" * 200, "description": "d" * 280}
    for _ in range(10):
        await api.call("create_tasks", project_name="Garden", tasks=[task] * 500)
    head = await service.send("HEAD", "/api/board/state", Accept_Encoding="identity")
    length = int(head.headers["content-length"])
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.1)
    with asked_and_not_read(service.port, "/api/board/state") as stalled:
        await cut_off(api, caplog, 1)
        assert len(await anyio.to_thread.run_sync(rest_of, stalled)) < length


@pytest.mark.slow
async def test_a_disconnected_client_frees_its_place_at_once(service: HttpService, api: OperationsClient) -> None:
    await lengthy(api, 150)
    with ExitStack() as opened:
        for _ in range(long_reads.MAX_CONCURRENT):
            opened.enter_context(asked_and_not_read(service.port, "/api/export"))
    assert len(await api.stream_text("export_plan")) > 150 * len(LONG)


@pytest.mark.slow
async def test_an_export_that_breaks_off_in_the_middle_is_seen_to_be_incomplete(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lengthy(api, 60)
    real, left = bulk.tasks_of, iter(range(3))

    def breaks(tx: Any, ids: list[int]) -> Any:
        if next(left, None) is None:
            driver = sys.modules[tx.connection.dialect.driver_error.__module__]
            raise driver.OperationalError("the disk is gone")  # the class of errors that are not about a statement
        return real(tx, ids)

    monkeypatch.setattr(bulk, "tasks_of", breaks)
    with pytest.raises(httpx.RemoteProtocolError):
        await service.send("GET", "/api/export")
    assert (await service.error(503, "GET", "/api/export"))["code"] == "database_unavailable"
    monkeypatch.undo()
    assert (await service.send("GET", "/api/export")).status_code == 200


# plans


@pytest.mark.promise("plan:non-blocking")
async def test_no_request_waits_while_a_plan_is_read(api: OperationsClient) -> None:
    await api.create_task("Cart")
    reading, claimed = threading.Event(), threading.Event()

    def listener(words: str, done: int, of: int) -> None:
        reading.set()
        assert claimed.wait(TIMEOUT)

    async def claim() -> None:
        with anyio.fail_after(TIMEOUT):
            await anyio.to_thread.run_sync(reading.wait, TIMEOUT)
            await api.claim(1, "ann")
        claimed.set()

    with report_to("import", listener):
        async with anyio.create_task_group() as everybody:
            everybody.start_soon(claim)
            raw = {"document": "projects:\n- name: House\n"}
            answer = await api.runtime.run(BY_NAME["import_plan"], raw, Caller(api.actor, "rest", "import"))
    assert answer.view.created == 1
