"""The service on a PostgreSQL server that is too old, has a wrong clock, or is used by an administrator."""

import psycopg
import pytest

from project_manager.clock import SystemClock
from project_manager.runtime.open import open_runtime
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.postgres import database, hosts
from tests.http_service import run_http_service
from tests.integration.test_postgresql_connections import Work, instance, refused_request
from tests.operations_client import MovableClock, OperationsClient
from tests.postgres_server import PostgresServer
from tests.stored_rows import settings_of, write

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AHEAD_MS = 30_000
LOCKS = {
    "rows": "SELECT FROM project_manager.tasks FOR UPDATE",
    "an index": "CREATE INDEX temporary_index ON project_manager.tasks (description)",
    "a column": "ALTER TABLE project_manager.events ADD COLUMN temporary_column integer",
}


@pytest.fixture
def short_lock_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    shortened = hosts._SETTINGS.replace("lock_timeout = '5s'", "lock_timeout = '100ms'")
    assert shortened != hosts._SETTINGS
    monkeypatch.setattr(hosts, "_SETTINGS", shortened)


def test_a_server_that_is_too_old_is_refused(
    postgresql_url: str, postgresql_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = int(postgresql_server.version)
    monkeypatch.setattr(database, "OLDEST_VERSION", found + 1)
    with pytest.raises(DatabaseOpenError) as refused:
        database.prepare(postgresql_url, auto_migrate=True)
    assert f"PostgreSQL {found}, which is too old: use PostgreSQL {found + 1} or newer" in str(refused.value)


async def test_time_does_not_go_back_at_a_server_with_a_clock_that_is_behind(postgresql_url: str) -> None:
    stored = SystemClock().now() + AHEAD_MS
    write(postgresql_url, "UPDATE meta SET clock_high = ?", stored)
    async with open_runtime(settings_of(postgresql_url)) as runtime:
        api = OperationsClient(runtime, MovableClock())
        task = await api.create_task("first")
        assert (await api.claim(task["id"], "ann"))["fence"] == 1
        assert runtime.database.writer.now() >= stored


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
async def test_a_claim_is_refused_while_an_administrator_has_an_open_transaction(
    lock: str, postgresql_url: str, short_lock_timeout: None
) -> None:
    work = Work()
    async with instance(postgresql_url) as api, run_http_service(api.runtime) as service:
        task = (await api.create_task("held"))["id"]
        work.created[task] = "held"
        async with await psycopg.AsyncConnection.connect(postgresql_url) as administrator:
            await administrator.execute(lock.encode())
            await refused_request(service, "database_busy", "POST", f"/api/tasks/{task}/lock", {"agent_id": "ann"})
            await administrator.rollback()
        await work.one_task(api, "ann")
        work.check(api)
