"""Fixtures of all tests: a migrated database, a movable clock, the service on both, and the service on a real port."""

import gc
import math
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from shutil import copyfile

import psycopg
import pytest
from blockbuster import BlockBusterFunction, blockbuster_ctx
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from project_manager.runtime import dispatch
from project_manager.runtime.background import BackgroundJobs
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import driver
from tests import postgres_server
from tests.http_service import HttpService, run_http_service
from tests.operations_client import MovableClock, OperationsClient
from tests.postgres_server import PostgresServer
from tests.stored_rows import Address, CreateDatabase, copied, settings_of

# hypothesis fails an example that takes long to generate or to run. On a slow machine that is no error.
hypothesis_settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("suite")

SQLITE, POSTGRESQL, BOTH = "sqlite", "postgresql", "both"
STARTING = (
    ("project_manager/runtime/dispatch.py", {"__init__"}),
    ("project_manager/web/application.py", {"api_application"}),
)


def pytest_sessionstart() -> None:
    """Disable garbage collection while pytest imports the tests. It would take a third of that time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Enable garbage collection for the tests. It does not visit again the objects that exist before the first one."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=(SQLITE, POSTGRESQL, BOTH),
        default=SQLITE,
        help="the database of the tests that run on each one; with postgresql, no other tests run",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a database once for each one, unless it is about SQLite."""
    if metafunc.config.getoption("--database") == BOTH and _is_for_both(metafunc.definition):
        metafunc.parametrize("database", [SQLITE, POSTGRESQL], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests of the chosen database.

    Mark tests on PostgreSQL as slow, because the start of a server takes longer than half a second.
    """
    if config.getoption("--database") == POSTGRESQL:
        others = [item for item in items if not (_is_for_both(item) or "postgresql_server" in _fixtures(item))]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)
    for item in items:
        if "postgresql_server" in _fixtures(item):
            item.add_marker("slow")


def _is_for_both(item: pytest.Item) -> bool:
    return "database" in _fixtures(item) and item.get_closest_marker("sqlite_only") is None


def _fixtures(item: pytest.Item) -> Collection[str]:
    return getattr(item, "fixturenames", ())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_query_is_reported_as_slow() -> Iterator[None]:
    """Keep the warning about slow queries out of the log, because on a busy machine any query can be slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "SLOW_QUERY_SECONDS", math.inf)
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Fail a test when a call of the package blocks the event loop. Only the start may open its files there.

    The scope is the session, because replacing the functions takes longer than most tests.
    """
    with blockbuster_ctx("project_manager") as blockers, ExitStack() as stack:
        for name in ("execute", "executescript", "commit", "rollback"):
            blockers.functions[f"driver.{name}"] = BlockBusterFunction(
                driver.driver.Connection, name, scanned_modules=["project_manager"]
            )
            stack.callback(blockers.functions[f"driver.{name}"].activate().deactivate)
        for name in ("wait", "wait_conn"):  # of statements and of connection attempts
            blockers.functions[f"psycopg.{name}"] = BlockBusterFunction(
                psycopg.waiting, name, scanned_modules=["project_manager"]
            )
            stack.callback(blockers.functions[f"psycopg.{name}"].activate().deactivate)
        for blocker in blockers.functions.values():
            for place in STARTING:
                blocker.can_block_in(*place)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with the current schema. Tests copy it, because migrating takes longer than a test."""
    path = tmp_path_factory.mktemp("template") / "pm.db"
    upgrade(str(path))
    return path


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Address:
    """Return a migrated database for this test."""
    kind = getattr(request, "param", request.config.getoption("--database"))
    address: Address = request.getfixturevalue("postgresql_url" if kind == POSTGRESQL else "database_file")
    return address


@pytest.fixture
def database_file(template: Path, tmp_path: Path) -> Path:
    """Return a migrated database file for this test."""
    return Path(copyfile(template, tmp_path / "pm.db"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server for the tests of this worker."""
    with postgres_server.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: PostgresServer) -> str:
    """Return the name of a database with the current schema. Tests copy it."""
    name = postgresql_server.create_database()
    upgrade(postgresql_server.url(name))
    return name


@pytest.fixture
def postgresql_url(postgresql_server: PostgresServer, postgresql_template: str) -> Iterator[str]:
    """Return the URL of a migrated database for this test."""
    with postgresql_server.database(postgresql_template) as url:
        yield url


@pytest.fixture
def create_database(database: Address, request: pytest.FixtureRequest) -> CreateDatabase:
    """Return a function that creates another migrated database of the same kind, for the body of a `with` statement."""
    if isinstance(database, Path):
        return partial(copied, request.getfixturevalue("template"))
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    return partial(server.database, request.getfixturevalue("postgresql_template"))


@pytest.fixture
def other_database(create_database: CreateDatabase) -> Iterator[Address]:
    """Return a second migrated database of the same kind."""
    with create_database() as address:
        yield address


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def settings() -> dict[str, object]:
    """Return settings that differ from the default ones. A test or a module may override this fixture."""
    return {}


@pytest.fixture
def without_background_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open runtimes without background jobs, so that only the test writes. `run_once` still runs one."""
    monkeypatch.setattr(BackgroundJobs, "running", lambda jobs, kind: nullcontext())


@pytest.fixture
async def runtime(database: Address, clock: MovableClock, settings: dict[str, object]) -> AsyncIterator[Runtime]:
    async with open_runtime(settings_of(database, **settings), clock=clock) as opened:
        yield opened


@pytest.fixture
def api(runtime: Runtime, clock: MovableClock) -> OperationsClient:
    return OperationsClient(runtime, clock)


@pytest.fixture
async def service(runtime: Runtime) -> AsyncIterator[HttpService]:
    async with run_http_service(runtime) as listening:
        yield listening
