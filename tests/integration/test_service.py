"""Operation of the service: board, health, metrics, time, and a loop that is never blocked."""

import threading
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.domain.service_errors import Internal, QueryTimeout, QueueFull
from project_manager.runtime.open import open_runtime
from project_manager.store import writer
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, Json, MovableClock, OperationsClient
from tests.stored_rows import Address, address_of, file_of, read, settings_of

pytestmark = pytest.mark.slow

# the board


@pytest.mark.promise("board:not-modified")
async def test_the_board_is_sent_again_only_when_something_changed(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    first = await service.send("GET", "/api/board/state")
    tag = first.headers["etag"]
    same = await service.send("GET", "/api/board/state", If_None_Match=tag)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    listed = await service.send("GET", "/api/board/state", If_None_Match=f'"x", W/{tag}')
    assert listed.status_code == 304
    for ending in ("-gzip", "--gzip", ";gzip", "-br"):
        rewritten = f'{tag.removesuffix(chr(34))}{ending}"'
        for given in (rewritten, f"W/{rewritten}"):
            assert (await service.send("GET", "/api/board/state", If_None_Match=given)).status_code == 304
    assert (await service.send("GET", "/api/board/state", If_None_Match=f'{tag[:-1]}x"')).status_code == 200
    await api.update_task(1, priority=0)
    changed = await service.send("GET", "/api/board/state", If_None_Match=tag)
    assert (changed.status_code, changed.json()["tasks"][0]["priority"]) == (200, 0)
    assert changed.headers["etag"] != tag
    assert changed.json()["seq"] == await api.last_seq()


@pytest.mark.promise("board:not-modified")
async def test_a_board_that_was_kept_shows_no_lease_that_has_run_out(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await api.claim(1, "ann", ttl_seconds=10)
    tag = (await service.send("GET", "/api/board/state")).headers["etag"]
    await api.advance(10)
    board = await service.send("GET", "/api/board/state", If_None_Match=tag)
    assert (board.status_code, board.json()["tasks"][0]["is_locked"]) == (200, False)


@pytest.mark.promise("board:not-modified")
async def test_a_renewal_is_on_the_board_although_it_is_no_event(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    await api.claim(1, "ann", ttl_seconds=60)
    await service.ok("GET", "/api/board/state")
    api.clock.advance(30)
    await api.call("renew_task_lock", task_id=1, agent_id="ann")
    board = await service.ok("GET", "/api/board/state")
    assert board["tasks"][0]["lock"]["expires_at"] == api.clock.later(60)


async def test_the_board_of_one_project_has_nothing_of_another(service: HttpService, api: OperationsClient) -> None:
    await api.create_task(epic_name="Outside")
    await api.create_task("tools", project_name="Shed", epic_name="Order")
    board = await service.ok("GET", "/api/board/state?project_id=2")
    assert [[one["name"] for one in board[part]] for part in ("projects", "epics", "tasks")] == [
        ["Shed"],
        ["Order"],
        ["tools"],
    ]
    await service.error(404, "GET", "/api/board/state?project_id=9")


async def test_concurrent_requests_for_the_board_get_the_same_response(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    bodies: list[bytes] = []

    async def ask() -> None:
        bodies.append((await service.send("GET", "/api/board/state")).content)

    async with anyio.create_task_group() as people:
        for _ in range(10):
            people.start_soon(ask)
    assert len(set(bodies)) == 1


# health


def writes(api: OperationsClient) -> list[Json]:
    queries = ("SELECT * FROM events ORDER BY seq", "SELECT version, lock_holder FROM tasks ORDER BY id")
    return [row for query in queries for row in read(address_of(api.runtime), query)]


@pytest.mark.promise("health:honest")
async def test_health_has_the_predecessors_shape_and_writes_nothing(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await api.claim(1, "ann", ttl_seconds=10)
    await api.advance(10)
    before = writes(api)
    health = await service.ok("GET", "/healthz")
    assert health == {
        "status": "healthy",
        "database_connected": True,
        "active_websocket_connections": 0,
        "timestamp": api.clock.later(0),
    }
    of_file = ("file", "integrity", "disk") if isinstance(address_of(api.runtime), Path) else ()
    assert await service.ok("GET", "/readyz") == {
        "status": "ready",
        "checks": dict.fromkeys((*of_file, "database", "schema", "writer", "events", "clock"), True),
    }
    assert (await service.ok("GET", "/livez"))["status"] == "alive"
    assert writes(api) == before


@pytest.mark.promise("health:honest")
async def test_health_reports_a_blocked_writer_and_keeps_answering(service: HttpService, api: OperationsClient) -> None:
    held_up = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.runtime.database.writer.run, "hold up", lambda tx: held_up.wait(TIMEOUT), api.actor, "")
        for place in ("/healthz", "/api/tasks"):
            assert (await service.send("GET", place)).status_code == 200
        held_up.set()


@pytest.mark.sqlite_only
@pytest.mark.promise("health:honest")
async def test_health_reports_that_the_database_is_gone(service: HttpService, api: OperationsClient) -> None:
    path = file_of(api.runtime)
    path.rename(path.with_name("away.db"))
    for place in ("/healthz", "/readyz"):
        response = await service.send("GET", place)
        assert response.status_code == 503
    health = (await service.send("GET", "/healthz")).json()
    assert (health["status"], health["database_connected"]) == ("unhealthy", False)
    assert health["reasons"] == ["database file was removed or renamed"]
    path.with_name("away.db").rename(path)
    assert (await service.ok("GET", "/healthz"))["status"] == "healthy"


@pytest.mark.slow
@pytest.mark.promise("health:honest")
async def test_health_reports_that_the_database_hangs(service: HttpService, api: OperationsClient) -> None:
    begun, ends = threading.Semaphore(0), threading.Event()

    def hang(_tx: Tx) -> None:
        begun.release()
        ends.wait(TIMEOUT)

    async with anyio.create_task_group() as tasks:
        for _ in range(api.runtime.settings.database_pool_size):
            tasks.start_soon(api.runtime.read, "hang", hang)
        for _ in range(api.runtime.settings.database_pool_size):
            assert await anyio.to_thread.run_sync(begun.acquire, True, TIMEOUT)
        try:
            for place in ("/healthz", "/readyz"):
                assert (await service.send("GET", place)).status_code == 503
            assert (await service.send("GET", "/healthz")).json()["reasons"] == ["database not readable"]
        finally:
            ends.set()
    assert (await service.ok("GET", "/healthz"))["status"] == "healthy"


async def test_the_operational_figures_have_the_documented_shape(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    await api.set_status(1, "DONE")
    await api.create_task("second")
    await api.claim(2, "ann")
    figures = await service.ok("GET", "/api/metrics")
    assert {"connections", "tasks", "events", "performance", "system"} <= set(figures)
    assert {"active", "total_opened", "max_capacity"} <= set(figures["connections"])
    assert {"total": 2, "locked": 1, "completed_today": 1}.items() <= figures["tasks"].items()
    assert {"avg_query_time_ms"} <= set(figures["performance"])
    assert {"uptime_seconds", "memory_usage_mb"} <= set(figures["system"])
    api.clock.advance(24 * 3600)
    assert (await service.ok("GET", "/api/metrics"))["tasks"]["completed_today"] == 0


async def test_requests_are_counted_by_route_and_leases_by_outcome(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    await service.ok("POST", "/api/tasks/1/lock", {"agent_id": "ann", "ttl_seconds": 10})
    await service.error(409, "POST", "/api/tasks/1/lock", {"agent_id": "bob"})
    await api.advance(10)
    page = (await service.send("GET", "/metrics")).text
    for line in (
        'pm_http_requests_total{method="POST",route="/api/tasks/{task_id}/lock",status="200"} 1.0',
        'pm_http_requests_total{method="POST",route="/api/tasks/{task_id}/lock",status="409"} 1.0',
        'pm_leases_total{outcome="acquired"} 1.0',
        'pm_leases_total{outcome="conflict"} 1.0',
        'pm_leases_total{outcome="expired"} 1.0',
        'pm_tasks{status="TODO"} 1.0',
    ):
        assert line in page


# time


@pytest.mark.promise("clock:never-back")
async def test_a_clock_that_jumps_back_stands_still_and_ends_no_lease(api: OperationsClient) -> None:
    await api.create_task()
    lock = await api.claim(1, "ann", ttl_seconds=60)
    api.clock.advance(30)
    renewed = (await api.call("renew_task_lock", task_id=1, agent_id="ann"))["lock"]
    api.clock.advance(-3600)
    assert (await api.call("renew_task_lock", task_id=1, agent_id="ann"))["lock"] == renewed
    assert renewed["expires_at"] > lock["expires_at"]
    await api.create_task("second")
    stamps = [event["timestamp"] for event in await api.events()]
    assert stamps == sorted(stamps)
    assert (await api.get_task(1))["lock"] == renewed


@pytest.mark.promise("clock:never-back")
async def test_a_clock_that_is_behind_after_a_restart_stands_still(database: Address) -> None:
    settings = settings_of(database)
    ahead, behind = MovableClock(), MovableClock()
    async with open_runtime(settings, clock=ahead) as runtime:
        api = OperationsClient(runtime, ahead)
        await api.create_task()
        lock = await api.claim(1, "ann", ttl_seconds=60)
    behind.advance(-3600)
    async with open_runtime(settings, clock=behind) as runtime:
        api = OperationsClient(runtime, behind)
        again = (await api.call("renew_task_lock", task_id=1, agent_id="ann"))["lock"]
        assert again["expires_at"] >= lock["expires_at"]
        stamps = [event["timestamp"] for event in await api.events()]
        assert stamps == sorted(stamps)


@pytest.mark.promise("lease:expiry")
async def test_a_lease_that_ran_out_while_the_service_was_down_has_ended(
    database: Address, clock: MovableClock
) -> None:
    settings = settings_of(database)
    async with open_runtime(settings, clock=clock) as runtime:
        await OperationsClient(runtime, clock).create_task()
        await OperationsClient(runtime, clock).claim(1, "ann", ttl_seconds=60)
    clock.advance(61)
    async with open_runtime(settings, clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        found = await api.get_task(1)
        assert (found["lock"], found["attempts"]) == (None, 1)
        assert (await api.events(0, "task.unlocked"))[0]["reason"] == "lock_expired"


# limits of the engine


def read_until(tx: Tx, until: threading.Event) -> None:
    """Run a read that does not end before `until` is set."""
    reckoning = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT max(i) FROM n"
    while not until.is_set():
        tx.connection.execute(reckoning)


@pytest.mark.promise("loop:never-blocked")
async def test_the_loop_answers_while_the_writer_and_every_reader_are_blocked(
    service: HttpService, api: OperationsClient
) -> None:
    held_up = threading.Event()
    database = api.runtime.database
    async with anyio.create_task_group() as tasks:
        for _ in range(2):  # one batch
            tasks.start_soon(database.writer.run, "hold up", lambda tx: held_up.wait(TIMEOUT), api.actor, "")
        for _ in range(api.runtime.settings.database_pool_size):
            tasks.start_soon(database.readers.run, "keep busy", partial(read_until, until=held_up), api.actor, "")
        try:
            for place in ("/livez", "/", "/healthz"):
                assert (await service.send("GET", place)).status_code == 200
        finally:
            held_up.set()


async def test_when_too_many_writes_wait_the_next_is_refused_with_retry_after(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE", 0)
    await api.call_error(QueueFull, "create_task", name="x")
    response = await service.send("POST", "/api/tasks", {"name": "x"})
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "queue_full", "1")
    monkeypatch.undo()
    assert (await api.create_task())["id"] == 1


@pytest.mark.parametrize("settings", [{"QUERY_TIMEOUT_SECONDS": "0.05"}])
async def test_a_read_that_takes_too_long_is_ended(api: OperationsClient) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with anyio.fail_after(TIMEOUT), pytest.raises(QueryTimeout):
        await api.runtime.read("endless", lambda tx: tx.connection.execute(endless).fetchall())
    assert (await api.call("list_tasks"))["total"] == 0


async def test_one_failing_write_harms_no_other_of_its_batch(api: OperationsClient) -> None:
    held_up, outcomes = threading.Event(), []

    def broken(tx: object) -> None:
        raise ZeroDivisionError

    async def fail() -> None:
        with pytest.raises(Internal):
            await api.runtime.database.writer.run("broken", broken, api.actor, "")
        outcomes.append("failed")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.runtime.database.writer.run, "hold up", lambda tx: held_up.wait(TIMEOUT), api.actor, "")
        await anyio.lowlevel.checkpoint()
        for _ in range(5):
            tasks.start_soon(api.create_task)
            tasks.start_soon(fail)
        await anyio.lowlevel.checkpoint()
        held_up.set()
    assert (await api.call("list_tasks"))["total"] == 5
    assert outcomes == ["failed"] * 5
