"""Instances on other hosts, and instances on this host before a reboot."""

import socket

import anyio
import anyio.lowlevel
import pytest

from project_manager.runtime import instances as registration
from project_manager.runtime.open import open_runtime
from project_manager.store import instances
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.transaction import Tx
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient
from tests.stored_rows import Address, address_of, execute, read, settings_of

ELSEWHERE = f"{socket.gethostname()}@another-run"


@pytest.fixture
async def elsewhere(api: OperationsClient, monkeypatch: pytest.MonkeyPatch) -> OperationsClient:
    """Return an instance that appears to run on another host of the same name."""
    monkeypatch.setattr(registration, "WATCH_INTERVAL_SECONDS", 0.001)

    def move(tx: Tx) -> None:
        execute(tx, "UPDATE instances SET host = ?, pid = 99999", ELSEWHERE)

    await api.runtime.database.writer.run("move", move, api.actor, "")
    return api


@pytest.mark.sqlite_only  # a file is used by one machine
async def test_a_running_host_of_the_same_name_prevents_a_start(elsewhere: OperationsClient) -> None:
    database = elsewhere.runtime.database

    async def live_on() -> None:
        while True:
            elsewhere.clock.advance(0.001)
            await database.writer.run(
                "beat", lambda tx: instances.heartbeat(tx, database.instance), elsewhere.actor, ""
            )
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live_on)
            with pytest.raises(DatabaseOpenError, match="another machine"):
                async with open_runtime(settings_of(address_of(elsewhere.runtime)), clock=elsewhere.clock):
                    raise AssertionError("it was opened")
            tasks.cancel_scope.cancel()


@pytest.mark.sqlite_only
async def test_after_a_power_cut_the_service_starts_although_the_clock_is_behind(
    elsewhere: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "EXPIRY_SECONDS", 0.05)
    clock = MovableClock(elsewhere.clock.instant - 3_600_000)
    with anyio.fail_after(TIMEOUT):
        async with open_runtime(settings_of(address_of(elsewhere.runtime)), clock=clock):
            assert hosts(address_of(elsewhere.runtime)) == [elsewhere.runtime.database.host]


@pytest.mark.sqlite_only
async def test_after_a_power_cut_all_instances_start(
    elsewhere: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "EXPIRY_SECONDS", 0.05)
    all_up, count = anyio.Event(), 0

    async def start_instance() -> None:
        nonlocal count
        async with open_runtime(settings_of(address_of(elsewhere.runtime)), clock=elsewhere.clock):
            count += 1
            if count == 3:
                assert ELSEWHERE not in hosts(address_of(elsewhere.runtime))
                all_up.set()
            await all_up.wait()

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(start_instance)


def hosts(address: Address) -> list[str]:
    return [row["host"] for row in read(address, "SELECT host FROM instances")]


async def test_retention_runs_on_a_database_that_only_mcp_clients_use(database: Address, clock: MovableClock) -> None:
    settings = settings_of(database, EVENT_RETENTION_DAYS="1")
    async with open_runtime(settings, clock=clock, kind="command") as runtime:
        await OperationsClient(runtime, clock).create_task()
    clock.advance(3 * 24 * 3600)
    async with open_runtime(settings, clock=clock, kind="mcp") as runtime:
        with anyio.fail_after(TIMEOUT):
            while await runtime.read("events", lambda tx: tx.connection.execute("SELECT seq FROM events").fetchall()):
                await anyio.lowlevel.checkpoint()
