"""Database files that are removed or replaced while open: no acknowledged write is lost."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import anyio
import anyio.lowlevel
import pytest

from project_manager.config.settings import load
from project_manager.domain.actors import LOCAL
from project_manager.domain.service_errors import DatabaseMoved
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store.transaction import Tx
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient
from tests.stored_rows import watch_of

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(params=["serve", "mcp", "command"])
async def instance(
    database_file: Path, clock: MovableClock, request: pytest.FixtureRequest
) -> AsyncIterator[OperationsClient]:
    """Run each kind of process that opens a database: the server, MCP over stdio, and a command such as `import`."""
    settings = load({"DATABASE_PATH": str(database_file)}, {}).settings
    async with open_runtime(settings, clock=clock, kind=request.param) as opened:
        yield OperationsClient(opened, clock)


async def test_every_process_refuses_writes_while_its_database_file_is_missing(
    instance: OperationsClient, database_file: Path, template: Path
) -> None:
    await instance.create_task("Before")
    away = remove_database(database_file)
    await instance.call_error(DatabaseMoved, "create_task", name="Removed", project_name="Garden")
    copyfile(template, database_file)
    await instance.call_error(DatabaseMoved, "create_task", name="Replaced", project_name="Garden")
    away.replace(database_file)
    await until_noticed(instance.runtime, moved=False)
    await instance.create_task("After")
    assert [task["name"] for task in (await instance.call("list_tasks"))["items"]] == ["Before", "After"]


async def test_a_write_is_not_acknowledged_when_the_file_was_removed_before_the_commit(
    runtime: Runtime, database_file: Path
) -> None:
    def work(tx: Tx) -> str:
        database_file.unlink()
        return "acknowledged"

    with anyio.fail_after(TIMEOUT), pytest.raises(DatabaseMoved):
        await runtime.database.writer.run("test", work, LOCAL, "")


async def test_reads_of_a_removed_file_continue_and_those_of_a_replaced_one_are_refused(
    api: OperationsClient, database_file: Path, template: Path
) -> None:
    await api.create_task("Before")
    remove_database(database_file)
    await until_noticed(api.runtime, moved=True)
    assert [task["name"] for task in (await api.call("list_tasks"))["items"]] == ["Before"]
    with pytest.raises(DatabaseMoved):  # it opens a connection of its own
        await api.stream_text("export_plan")
    copyfile(template, database_file)
    with anyio.fail_after(TIMEOUT):
        while not (watch_of(api.runtime).change or pytest.fail("noticed no more")).changes_reads:
            await anyio.lowlevel.checkpoint()
    await api.call_error(DatabaseMoved, "list_tasks")
    await api.call_error(DatabaseMoved, "get_board_state")


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
async def test_a_log_that_is_removed_under_a_process_stops_its_writes(
    api: OperationsClient, database_file: Path, suffix: str
) -> None:
    """The next process would begin a log of its own. Each of them would miss the commits of the other."""
    await api.create_task("Before")
    remove_database(Path(f"{database_file}{suffix}"))
    await until_noticed(api.runtime, moved=True)
    refusal = await api.call_error(DatabaseMoved, "create_task", name="After", project_name="Garden")
    assert f"pm.db{suffix}" in refusal.message
    assert [task["name"] for task in (await api.call("list_tasks"))["items"]] == ["Before"]


def remove_database(path: Path) -> Path:
    return path.rename(path.with_name("away"))


async def until_noticed(runtime: Runtime, *, moved: bool) -> None:
    with anyio.fail_after(TIMEOUT):
        while (watch_of(runtime).change is not None) != moved:
            await anyio.lowlevel.checkpoint()
