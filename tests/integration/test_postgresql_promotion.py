"""Instances when another PostgreSQL server is promoted, or a server with another history answers."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from queue import SimpleQueue

import anyio
import anyio.to_thread
import psycopg
import pytest

from project_manager.clock import SystemClock
from project_manager.domain.service_errors import DatabaseUnavailable
from project_manager.runtime import event_hub
from project_manager.runtime.event_hub import Hub, Resync, Subscription
from project_manager.store.postgres import database, probing_connection
from project_manager.store.postgres.figures import WriterLockFigures
from project_manager.store.postgres.outage import Outage
from project_manager.store.postgres.timelines import Timelines
from project_manager.store.postgres.write_connection import Clocks, PostgresWriteConnection
from project_manager.web import websocket
from tests.http_service import frame, run_http_service
from tests.integration import invariants
from tests.integration.test_postgresql_connections import NEVER, instance, refused_write, subscribed, terminate_all
from tests.integration.test_postgresql_unresponsive import short_limits
from tests.integration.test_websocket import all_published
from tests.operations_client import TIMEOUT, OperationsClient
from tests.postgres_cluster import DATABASE, PostgresCluster, running_cluster
from tests.stored_rows import read

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SERVER = "SELECT system, timeline FROM project_manager.counter"
SYSTEM_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"
RESTORED = "SELECT count(*) FROM project_manager.events WHERE type = 'database.restored'"
NAMES = "SELECT name FROM project_manager.tasks ORDER BY id"
CHANGE_COMMITS = "UPDATE project_manager.counter SET commits = commits + {}"
FINGERPRINT = "SELECT (SELECT counter::text FROM project_manager.counter), max(seq) FROM project_manager.events"
DOCUMENTED_PRIVILEGES = """
CREATE ROLE {role} LOGIN;
GRANT USAGE ON SCHEMA project_manager TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA project_manager TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA project_manager TO {role};
"""
EPOCH_WITHOUT_LATER_EVENTS = """
DELETE FROM project_manager.events WHERE seq > 2;
UPDATE project_manager.counter SET seq = 2, commits = commits + 1;
UPDATE project_manager.meta SET epoch = 'another'
"""
HAS_SCHEMA = "SELECT to_regnamespace('project_manager') IS NOT NULL"
MAKE_OLD = "UPDATE project_manager.batch_marks SET at = 0 WHERE writer LIKE %s"
FROM_ANOTHER_SERVER = "UPDATE project_manager.counter SET system = '1', timeline = 1"


@pytest.fixture
def synchronous() -> Iterator[PostgresCluster]:
    with running_cluster(is_synchronous=True) as cluster:
        yield cluster


@pytest.fixture
def prepared(synchronous: PostgresCluster) -> PostgresCluster:
    """Return a cluster with the tables and a synchronous standby."""
    database.prepare(synchronous.url, auto_migrate=True)
    synchronous.add_standby()
    return synchronous


@pytest.fixture
def asynchronous() -> Iterator[PostgresCluster]:
    with running_cluster(is_synchronous=False) as cluster:
        yield cluster


async def fail_over(cluster: PostgresCluster) -> None:
    await anyio.to_thread.run_sync(cluster.primary.kill)
    await anyio.to_thread.run_sync(cluster.promote)


def stored_server(cluster: PostgresCluster) -> tuple[str, int]:
    """Return the server in the database, without its identifier if that is the present one."""
    ((system, timeline),) = cluster.read(SERVER)
    assert cluster.read(SYSTEM_IDENTIFIER) == [(system,)]
    return system, timeline


async def test_a_synchronous_promotion_keeps_the_epoch_and_all_subscriptions(synchronous: PostgresCluster) -> None:
    async with instance(synchronous.url) as api, subscribed(api) as subscriber:
        await anyio.to_thread.run_sync(synchronous.add_standby)
        task = (await api.create_task("first"))["id"]
        lock = await api.claim(task, "ann")
        await fail_over(synchronous)
        await api.set_status(task, "DONE", "ann", fence=lock["fence"])
        await subscriber.until(await api.last_seq())
        assert stored_server(synchronous)[1] == 2
        assert synchronous.read(RESTORED) == [(0,)]


async def test_requests_move_to_a_promoted_standby_while_the_primary_is_only_stopped(
    synchronous: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing_connection, "PROBE_AFTER_SECONDS", 0.5)
    async with instance(f"{synchronous.url}&connect_timeout=2") as api, subscribed(api) as subscriber:
        await anyio.to_thread.run_sync(synchronous.add_standby)
        await api.create_task("first")
        old = synchronous.primary
        with old.stopped():
            await anyio.to_thread.run_sync(synchronous.promote)
            await api.create_task("second")
        await api.create_task("third")
        assert old.query(NAMES, database="tasks") == [("first",)]
        assert synchronous.read(NAMES) == [("first",), ("second",), ("third",)]
        await subscriber.until(await api.last_seq())
        assert synchronous.read(RESTORED) == [(0,)]


async def test_an_asynchronous_promotion_begins_one_epoch_for_all_instances(asynchronous: PostgresCluster) -> None:
    async with instance(asynchronous.url) as api, instance(asynchronous.url) as other:
        await anyio.to_thread.run_sync(asynchronous.add_standby)
        task = (await api.create_task("kept"))["id"]
        await anyio.to_thread.run_sync(asynchronous.wait_for_standby)
        await anyio.to_thread.run_sync(asynchronous.cut_off_standby)
        lost = await api.claim(task, "ann")
        epoch = api.runtime.hub.epoch
        async with api.runtime.follow(0) as first, other.runtime.follow(0) as second:
            await fail_over(asynchronous)
            for client in (api, other):
                await client.create_task("new")
            for subscription in (first, second):
                with anyio.fail_after(TIMEOUT), pytest.raises(Resync):
                    await read_to_end(subscription)
        assert api.runtime.hub.epoch == other.runtime.hub.epoch != epoch
        assert asynchronous.read(RESTORED) == [(1,)]
        assert (await other.claim(task, "bob"))["fence"] > lost["fence"] + 1_000_000
        page = await api.call("wait_for_events", since=1, epoch=epoch)
        assert page["resync"]
        invariants.check(api)
        await old_primary_is_refused(asynchronous, api)


async def read_to_end(subscription: Subscription) -> None:
    while True:
        await subscription.next_batch()


async def old_primary_is_refused(cluster: PostgresCluster, api: OperationsClient) -> None:
    """Assert that an instance does not write to an old primary, which is the first host of its URL."""
    old = cluster.standby
    assert cluster.url.index(str(old.folder)) < cluster.url.index(str(cluster.primary.folder))
    await anyio.to_thread.run_sync(old.start)
    before = old.query(FINGERPRINT, database="tasks")
    cluster.terminate_clients()
    await api.create_task("after the return of the old primary")
    async with instance(cluster.url) as restarted:
        await restarted.create_task("by a new process")
    assert old.query(FINGERPRINT, database="tasks") == before
    old.query("DROP SCHEMA project_manager CASCADE", database="tasks")
    async with instance(cluster.url) as restarted:
        await restarted.create_task("by a process that would migrate the old primary")
    assert old.query(HAS_SCHEMA, database="tasks") == [(False,)]
    await anyio.to_thread.run_sync(old.stop)


def test_a_process_that_knows_lost_commits_begins_an_epoch_after_another_has_accepted_the_promotion(
    prepared: PostgresCluster,
) -> None:
    with writing(prepared) as knowing, writing(prepared) as other:
        lose_a_write_of(knowing, other, prepared)
        for connection in (knowing, other):
            write(connection)
            assert prepared.read(RESTORED) == [(1,)]


def test_a_process_that_knows_lost_commits_begins_an_epoch_also_after_another_promotion_that_has_lost_none(
    prepared: PostgresCluster,
) -> None:
    with writing(prepared) as knowing, writing(prepared) as other:
        lose_a_write_of(knowing, other, prepared)
        prepared.add_standby()
        for _ in range(3):
            write(other)
        prepared.primary.kill()
        prepared.promote()
        write(other)
        assert stored_server(prepared)[1] == 3
        delete_old_marks(prepared, timeline=2)
        assert prepared.read(RESTORED) == [(0,)]
        for connection in (knowing, other):
            write(connection)
            assert prepared.read(RESTORED) == [(1,)]


def test_a_process_begins_no_epoch_for_a_loss_for_which_another_has_begun_one(prepared: PostgresCluster) -> None:
    with writing(prepared) as knowing, writing(prepared) as late, writing(prepared) as other:
        lose_a_write_of(knowing, other, prepared, writes_of=[late] * 20)
        write(knowing)
        assert prepared.read(RESTORED) == [(1,)]
        prepared.add_standby()
        write(other)
        prepared.primary.kill()
        prepared.promote()
        for connection in (other, knowing, late):
            write(connection)
            assert prepared.read(RESTORED) == [(1,)]
        assert stored_server(prepared)[1] == 3


def delete_old_marks(cluster: PostgresCluster, timeline: int) -> None:
    """Make the mark of a promotion old, and let a process delete old marks at its end."""
    cluster.primary.query(MAKE_OLD, f"timeline %/{timeline}", database=DATABASE)
    with writing(cluster) as connection:
        write(connection)


def lose_a_write_of(
    knowing: PostgresWriteConnection,
    other: PostgresWriteConnection,
    cluster: PostgresCluster,
    *,
    writes_of: Sequence[PostgresWriteConnection] = (),
) -> None:
    """Promote a standby without the last write of one process. The other one does not know it, and keeps the epoch.

    Further writes that are lost are one of each of `writes_of`.
    """
    for connection in (knowing, other):
        write(connection)
    cluster.primary.query("ALTER SYSTEM SET synchronous_standby_names = ''")
    cluster.primary.query("SELECT pg_reload_conf()")
    cluster.cut_off_standby()
    for connection in (knowing, *writes_of):
        write(connection)
    cluster.primary.kill()
    cluster.promote()
    write(other)
    assert cluster.read(RESTORED) == [(0,)]


@contextmanager
def writing(cluster: PostgresCluster) -> Iterator[PostgresWriteConnection]:
    """Yield the connection of a writer without its thread, so that only the test begins batches."""
    clocks = Clocks(SystemClock(), lambda instant: None)
    shared = (Outage(), Timelines(), WriterLockFigures())
    with closing(PostgresWriteConnection(cluster.url, secrets.token_hex(8), clocks, *shared)) as opened:
        yield opened


def write(connection: PostgresWriteConnection) -> None:
    """Commit a batch with a change."""
    connection.begin()
    connection.connection.execute("UPDATE meta SET epoch = epoch")
    connection.commit()


async def test_a_server_that_has_lost_commits_is_refused_until_the_right_one_is_back(postgresql_url: str) -> None:
    async with instance(postgresql_url) as api, run_http_service(api.runtime) as service:
        await api.create_task("first")
        async with await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True) as administrator:
            await administrator.execute(CHANGE_COMMITS.format(-1).encode())
            await terminate_all(postgresql_url)
        with short_limits():
            await refused_write(service, "database_unavailable")
            with pytest.raises(DatabaseUnavailable, match="but this process knows of"):
                await api.create_task("refused")
        async with await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True) as administrator:
            await administrator.execute(CHANGE_COMMITS.format(1).encode())
        await api.create_task("last")
        assert [row["name"] for row in read(postgresql_url, "SELECT name FROM tasks ORDER BY id")] == ["first", "last"]


async def test_a_client_of_events_waits_until_the_instance_has_seen_a_new_epoch(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "REMEMBERED", 1)
    monkeypatch.setattr(websocket, "RESYNC_SECONDS", NEVER)
    with held_epochs() as epochs:
        async with instance(postgresql_url) as api, run_http_service(api.runtime) as service:
            for number in range(4):
                await api.create_task(f"task {number}")
            await all_published(api)
            async with await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True) as administrator:
                await administrator.execute(EPOCH_WITHOUT_LATER_EVENTS)
            begin_epoch = await anyio.to_thread.run_sync(partial(epochs.get, timeout=TIMEOUT))
            with counted_reads_of_the_head(api) as reads:
                async with service.listen("since=1") as wire:
                    assert (await frame(wire))["type"] == "hello"
                    for _ in range(20):
                        await api.get_task(1)
            assert len(reads) <= 2
            monkeypatch.setattr(websocket, "RESYNC_SECONDS", 0.01)
            async with service.listen("since=1") as wire:
                assert (await frame(wire))["type"] == "hello"
                begin_epoch()
                assert await frame(wire) == {"type": "resync", "epoch": "another", "seq": 2}
                await api.create_task("after it")
                assert (await frame(wire))["seq"] == 3


@contextmanager
def held_epochs() -> Iterator[SimpleQueue[Callable[[], None]]]:
    """Keep the new epochs that the tail has seen from the hub, and yield the calls that it did not get."""
    held: SimpleQueue[Callable[[], None]] = SimpleQueue()
    epoch_begun = Hub._epoch_begun

    def hold(hub: Hub, epoch: str, head: int) -> None:
        held.put(partial(epoch_begun, hub, epoch, head))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hub, "_epoch_begun", hold)
        yield held


@contextmanager
def counted_reads_of_the_head(api: OperationsClient) -> Iterator[list[int]]:
    """Yield the numbers of the newest event that subscribers read."""
    numbers: list[int] = []
    latest_seq = api.runtime.latest_seq

    async def counted() -> int:
        numbers.append(await latest_seq())
        return numbers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.runtime, "latest_seq", counted)
        yield numbers


async def test_a_user_with_the_documented_privileges_can_begin_an_epoch(postgresql_url: str) -> None:
    role = f"limited_{secrets.token_hex(4)}"
    with psycopg.connect(postgresql_url, autocommit=True) as administrator:
        administrator.execute(DOCUMENTED_PRIVILEGES.format(role=role).encode())
        try:
            administrator.execute(FROM_ANOTHER_SERVER.encode())
            async with instance(postgresql_url.replace("//postgres@", f"//{role}@")) as api:
                await api.create_task("first")
            assert administrator.execute(RESTORED.encode()).fetchall() == [(1,)]
        finally:
            administrator.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
