from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from tests.e2e import forked_commands
from tests.e2e.command_line import PLAN, CommandLine
from tests.e2e.service import Service

Start = Callable[..., Service]


@pytest.fixture(scope="session", autouse=True)
def commands_are_forked() -> Iterator[None]:
    """Fork the commands of `CommandLine`. The process that forks starts with the first one."""
    with forked_commands.running():
        yield


@pytest.fixture
def make_service() -> Start:
    """Return the constructor of a service. A subfolder of tests may override it."""
    return Service


@pytest.fixture
def prepare_service(tmp_path: Path, template: Path, make_service: Start) -> Iterator[Start]:
    """Return a function that creates a service without starting it.

    The database is migrated, unless `empty` is set. The log must contain no traceback at the end.
    """
    made: list[Service] = []

    def prepare(folder: Path = tmp_path, *, empty: bool = False, **settings: object) -> Service:
        service = make_service(folder, output=tmp_path, **settings)
        if not empty and "DATABASE_PATH" not in settings and not service.database.exists():
            copyfile(template, service.database)
        made.append(service)
        return service

    yield prepare
    for service in made:
        service.end()
    assert [line for service in made for line in tracebacks(service)] == []


def tracebacks(service: Service) -> list[str]:
    """Return the log lines with a traceback, except for requests that the HTTP server cut off at shutdown."""
    lines = service.log.splitlines() if service.output.exists() else []
    return [line for line in lines if "Traceback" in line and "asyncio.exceptions.CancelledError" not in line]


@pytest.fixture
def start_service(prepare_service: Start) -> Start:
    """Return a function that starts a service with the given settings in the folder of the test."""

    def start(folder: Path | None = None, **settings: object) -> Service:
        place = {} if folder is None else {"folder": folder}
        return prepare_service(**place, **settings).start()

    return start


@pytest.fixture
def cli(tmp_path: Path, template: Path) -> CommandLine:
    """Return a command line in a folder with a plan and an empty database at the default path."""
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "data").mkdir(0o700)
    copyfile(template, tmp_path / "data" / "tasks.db")
    return CommandLine(tmp_path)
