"""The service while the disk of its PostgreSQL server is full."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import httpx
import psycopg
import pytest

from project_manager.store.migrations import upgrade
from tests import postgres_server
from tests.faults.shim import Shim
from tests.http_service import HttpService, run_http_service
from tests.integration.test_postgresql_connections import Work, instance
from tests.postgres_server import FAST

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MOST_TASKS = 500
"""Tasks of which the events need more than one page of the server."""
FILE_OF_EVENTS = "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('project_manager.events')"


@dataclass(frozen=True)
class Disk:
    """A server with a disk that the test fills. `url` is that of a migrated database."""

    shim: Shim
    url: str


@pytest.fixture
def disk(shim_library: Path) -> Iterator[Disk]:
    """Start a server of which the table of events cannot grow while the disk is full.

    The user of the server reads the library and the control file, so they are in its folder.
    """
    with postgres_server.running({**FAST, "synchronous_commit": "on"}) as server:
        url = server.url("postgres")
        upgrade(url)
        folder = server.folder / "shim"
        folder.mkdir()
        shim = Shim(Path(copyfile(shim_library, folder / "shim.so")), folder)
        for readable in (folder, *folder.iterdir()):
            readable.chmod(0o755)
        with psycopg.connect(url) as connection:
            [(file,)] = connection.execute(FILE_OF_EVENTS)
        variables = shim.variables(Path(file))
        server.crash()
        server.start(**variables)
        yield Disk(shim, url)


async def until_refused(service: HttpService, work: Work) -> httpx.Response:
    """Create tasks until one is refused, and return the response."""
    for number in range(MOST_TASKS):
        response = await service.send("POST", "/api/tasks", {"name": f"filler {number}"})
        if response.status_code != 201:
            return response
        work.created[response.json()["id"]] = f"filler {number}"
    raise AssertionError("the disk of the server never became full")


async def test_writes_are_refused_while_the_disk_of_the_server_is_full_and_nothing_is_lost(disk: Disk) -> None:
    work = Work()
    async with instance(disk.url) as api, run_http_service(api.runtime) as service:
        await work.one_task(api, "ann")
        disk.shim.fill_disk(True)
        response = await until_refused(service, work)
        assert (response.status_code, response.json()["code"]) == (507, "storage_full")
        assert (await service.ok("GET", "/api/tasks?total=exact&limit=1"))["total"] == len(work.created)
        disk.shim.fill_disk(False)
        await work.one_task(api, "ann")
        work.check(api)
