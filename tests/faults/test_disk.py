"""A full or failing disk: every acknowledged write is kept, reads work, and the service recovers by itself."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import anyio
import anyio.lowlevel
import httpx
import pytest

from project_manager.runtime import disk_failure
from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, TIMEOUT, Service, sample
from tests.faults import history
from tests.faults.shim import Shim

MEGABYTES = 6
LARGE = "x" * 20_000
PAGE = 4096
UNTIL_FULL = 2_000
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A folder on a disk that the test can fill and free."""

    folder: Path
    fill: Callable[[], None]
    free: Callable[[], None]
    variables: dict[str, str]


@pytest.fixture
def small_disk(tmp_path: Path, shim: Shim) -> Iterator[SmallDisk]:
    """Yield a separate file system where this process may mount one, else a simulated disk."""
    folder, filler = tmp_path / "disk", tmp_path / "disk" / "filler"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, timeout=TIMEOUT).returncode == 0:
        try:
            yield SmallDisk(folder, lambda: fill(filler), filler.unlink, {})
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True, timeout=TIMEOUT)
    else:
        says_so = shim.variables(folder / "pm.db")
        yield SmallDisk(folder, lambda: shim.fill_disk(True), lambda: shim.fill_disk(False), says_so)


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def create(http: httpx.Client, name: str) -> httpx.Response:
    return http.post("/api/tasks", json={"name": name, "description": LARGE})


async def create_together(service: Service, names: list[str]) -> dict[str, int]:
    statuses: dict[str, int] = {}

    async def one(name: str) -> None:
        async with service.client() as http:
            try:
                answer = await http.post("/api/tasks", json={"name": name, "description": LARGE})
            except httpx.TransportError:
                statuses[name] = NO_ANSWER
            else:
                statuses[name] = answer.status_code

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(one, name)
    return statuses


def names(http: httpx.Client) -> list[str]:
    return [task["name"] for task in http.get("/api/tasks", params={"limit": 500}).json()["items"]]


def is_unhealthy(http: httpx.Client) -> bool:
    return http.get("/healthz").status_code == 503


async def test_a_full_disk_refuses_writes_and_nothing_else(prepare_service: Start, small_disk: SmallDisk) -> None:
    service = prepare_service(small_disk.folder).start(**small_disk.variables)
    with service.http() as http:
        assert create(http, "before").status_code == 201
        small_disk.fill()
        refused, kept = first_refusal(http)
        assert refused.status_code == 507
        assert refused.json()["code"] == "storage_full"
        together = [f"together {number}" for number in range(10)]
        assert set((await create_together(service, together)).values()) == {507}
        assert names(http) == ["before", *kept]
        assert http.get("/api/board/state").status_code == 200
        health = http.get("/healthz").json()
        assert "full" in health["reasons"][0]
        assert health["database_connected"] is True
        service.wait_until(lambda: not http.get("/readyz").json()["checks"]["disk"])
        small_disk.free()
        service.wait_until(lambda: not is_unhealthy(http), 2 * TIMEOUT)
        service.wait_until(lambda: http.get("/readyz").json()["checks"]["disk"])
        assert create(http, "after").status_code == 201
        assert names(http) == ["before", *kept, "after"]
        history.check_numbers(history.all_events(http))
    assert service.stop() == 0


@pytest.mark.parametrize("end", [Service.stop, Service.kill], ids=["stopped", "killed"])
def test_a_service_that_starts_on_a_full_disk_serves_reads(
    prepare_service: Start, small_disk: SmallDisk, end: Callable[[Service], object]
) -> None:
    service = prepare_service(small_disk.folder).start(**small_disk.variables)
    with service.http() as http:
        assert create(http, "before").status_code == 201
        small_disk.fill()
        kept = first_refusal(http)[1]
    end(service)
    small_disk.fill()
    service.spawn(**small_disk.variables)
    with service.http() as http:
        service.wait_until(lambda: answers(http), START_SECONDS)
        assert names(http) == ["before", *kept]
        service.wait_until(lambda: create(http, "full").status_code == 507)
        small_disk.free()
        service.wait_until(lambda: create(http, "after").status_code == 201, 2 * TIMEOUT)
        assert names(http)[-1] == "after"
        service.wait_until(lambda: not is_unhealthy(http), 2 * TIMEOUT)
    assert service.stop() == 0


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_a_backup_of_a_full_disk_to_another_ends_with_one_message(
    prepare_service: Start, small_disk: SmallDisk, tmp_path: Path
) -> None:
    service = prepare_service(small_disk.folder).start(**small_disk.variables)
    with service.http() as http:
        small_disk.fill()
        first_refusal(http)
    cli = CommandLine(tmp_path)
    place = ("--db-path", str(service.database))
    done = cli.run("backup", str(tmp_path / "copy.db"), *place, **small_disk.variables)
    assert (done.returncode, "bytes, verified, sha256" in done.stdout) == (0, True), done.stderr
    assert "is intact" in cli.says("verify", str(tmp_path / "copy.db"))
    assert len(done.stderr.splitlines()) <= 1


def first_refusal(http: httpx.Client) -> tuple[httpx.Response, list[str]]:
    """Write until there is no room left. Return the refusal and the names that were stored before it."""
    kept: list[str] = []
    for number in range(UNTIL_FULL):
        answer = create(http, f"filling {number}")
        if answer.status_code != 201:
            return answer, kept
        kept.append(f"filling {number}")
    raise AssertionError("the disk never filled up")


async def test_a_failed_fsync_ends_the_service_without_an_answer(prepare_service: Start, shim: Shim) -> None:
    service = prepare_service()
    service.start(**shim.variables(service.database))
    with service.http() as http:
        assert create(http, "before").status_code == 201
    shim.fail_sync(True)
    together = [f"together {number}" for number in range(10)]
    assert set((await create_together(service, together)).values()) == {NO_ANSWER}
    assert service.process.wait(TIMEOUT) == disk_failure.STATUS
    assert [line["level"] for line in service.lines("write_lost")] == ["CRITICAL"]
    shim.fail_sync(False)
    service.start(**shim.variables(service.database))
    with service.http() as http:
        kept = names(http)
        assert kept[0] == "before"
        assert set(kept[1:]) <= set(together)
        assert create(http, "after").status_code == 201
    service.kill()
    service.start()
    with service.http() as http:
        assert names(http) == [*kept, "after"]
        history.check_numbers(history.all_events(http))


@pytest.mark.sqlite_only
def test_a_command_reports_that_the_outcome_of_its_write_is_unknown(database: Path, tmp_path: Path, shim: Shim) -> None:
    cli = CommandLine(tmp_path)
    plan = json.dumps({"projects": [{"name": "Garden", "tasks": [{"name": "Paint"}]}]})
    shim.fail_sync(True)
    # The first write of a command registers the process. It is unrelated to the plan.
    said = cli.refuses(1, "import", "-", "--db-path", str(database), stdin=plan, **shim.variables(database))
    assert "the result is unknown" in said
    shim.fail_sync(False)
    assert "is intact" in cli.says("verify", "--db-path", str(database))


async def test_writes_that_wait_for_a_slow_disk_are_answered_before_the_end(prepare_service: Start, shim: Shim) -> None:
    service = prepare_service()
    service.start(**shim.variables(service.database))
    answers: list[int] = []

    async def create(http: httpx.AsyncClient, number: int) -> None:
        answers.append((await http.post("/api/tasks", json={"name": f"task {number}"})).status_code)

    shim.hold_sync(True)
    async with service.client() as http, anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(create, http, number)
        with anyio.fail_after(TIMEOUT):
            while not sample((await http.get("/metrics")).text, "pm_writer_queue_depth"):
                await anyio.lowlevel.checkpoint()
        service.signal(signal.SIGTERM)
        service.wait_until(lambda: service.lines("stopping"))
        shim.hold_sync(False)
    assert answers == [201] * 10
    assert service.process.wait(TIMEOUT) == 0


async def test_a_write_without_an_answer_may_be_sent_again_with_its_key(prepare_service: Start, shim: Shim) -> None:
    service = prepare_service()
    service.start(**shim.variables(service.database))
    key = {"Idempotency-Key": "one effect"}
    with service.http() as http:
        shim.fail_sync(True)
        with pytest.raises(httpx.TransportError):
            http.post("/api/tasks", json={"name": "once"}, headers=key)
    assert service.process.wait(TIMEOUT) == disk_failure.STATUS
    shim.fail_sync(False)
    service.start(**shim.variables(service.database))
    with service.http() as http:
        first = http.post("/api/tasks", json={"name": "once"}, headers=key)
        again = http.post("/api/tasks", json={"name": "once"}, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert names(http) == ["once"]


@pytest.mark.sqlite_only
@pytest.mark.parametrize("page", [1, -1, -30])
def test_a_database_that_cannot_be_read_is_not_reported_as_damaged(
    database: Path, tmp_path: Path, shim: Shim, page: int
) -> None:
    """Let reads fail from the second page on, or on the last pages.

    In the first case the tables are unknown. In the second case the check of SQLite reports errors in the database.
    """
    cli = CommandLine(tmp_path)
    place = ("--db-path", str(database))
    tasks = [{"name": f"Task {number}", "description": "x" * 3000} for number in range(60)]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"projects": [{"name": "Large", "tasks": tasks}]}))
    cli.says("import", str(plan), *place)
    shim.fail_reads(page * PAGE % database.stat().st_size)
    for words in (("verify",), ("backup", "copy.db")):
        said = cli.refuses(5, *words, *place, **shim.variables(database))
        assert "now: " in said
        assert "damaged" not in said
        assert "restore" not in said
    shim.fail_reads(0)
    assert "is intact" in cli.says("verify", *place, **shim.variables(database))


@pytest.mark.sqlite_only
def test_a_restore_to_a_full_disk_ends_with_that_reason_and_changes_nothing(
    database: Path, tmp_path: Path, small_disk: SmallDisk
) -> None:
    cli = CommandLine(tmp_path)
    place = ("--db-path", str(small_disk.folder / "pm.db"))
    cli.says("backup", "copy.db", "--db-path", str(database))
    copyfile(database, small_disk.folder / "pm.db")
    cli.says("import", "-", *place, stdin=json.dumps({"projects": [{"name": "Newer", "tasks": [{"name": "Kept"}]}]}))
    before = cli.says("export", *place)
    small_disk.fill()
    said = cli.refuses(5, "restore", "copy.db", *place, **small_disk.variables)
    assert "now: database or disk is full" in said
    small_disk.free()
    assert cli.says("export", *place) == before
    cli.says("restore", "copy.db", *place)
    assert "Kept" not in cli.says("export", *place)


@pytest.mark.sqlite_only
def test_a_copy_to_a_full_disk_ends_with_that_reason_and_leaves_nothing(
    database: Path, tmp_path: Path, small_disk: SmallDisk
) -> None:
    cli, target = CommandLine(tmp_path), small_disk.folder / "copy.db"
    small_disk.fill()
    said = cli.refuses(5, "copy", str(database), str(target), **small_disk.variables)
    assert "disk is full" in said
    assert [path.name for path in small_disk.folder.iterdir() if path.name != "filler"] == []
    small_disk.free()
    assert "is intact" in cli.says("verify", "--db-path", str(database))
    assert "compared on both sides" in cli.says("copy", str(database), str(target))
