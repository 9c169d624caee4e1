"""Plans over HTTP beyond the size limit of other requests."""

import errno
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest

from project_manager.domain.limits import BODY_BYTES, MAX_KEYS, PLAN_BYTES
from project_manager.plans import diagnostics, reader
from project_manager.web import bodies
from tests.http_service import HttpService
from tests.integration.test_access import bearer, token
from tests.operations_client import TIMEOUT, OperationsClient
from tests.stored_rows import Address

pytestmark = pytest.mark.slow

COMMENT = "# " + "words that nobody reads " * 1000
TASKS = 5
TASKS_TEXT = "".join(f"- name: Task {number}\n" for number in range(TASKS))
LARGE = f"{COMMENT}\n" * 150 + f"standalone_tasks:\n{TASKS_TEXT}"
PIECE = 64 * 1024


@pytest.fixture
def spool_folder(database: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the database file. Without one, return the directory for temporary files."""
    if isinstance(database, Path):
        return database.parent
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def pieces(document: bytes, paused: anyio.Event | None = None) -> AsyncIterator[bytes]:
    """Yield the document in pieces. With `paused`, wait for that event before the last piece."""
    for start in range(0, len(document), PIECE):
        if paused is not None and start + PIECE >= len(document):
            await paused.wait()
        yield document[start : start + PIECE]


def spool_files(folder: Path) -> list[str]:
    """Return the open files without a name in the folder."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            links.append(str(descriptor.readlink()))
    return [link for link in links if link.startswith(str(folder)) and link.endswith("(deleted)")]


async def until_spooled(folder: Path) -> None:
    with anyio.fail_after(TIMEOUT):
        while not spool_files(folder):  # noqa: ASYNC110 the kernel sends no notification
            await anyio.sleep(0.001)


async def sent(service: HttpService, content: Any, **query: str) -> httpx.Response:
    headers = {"Content-Type": "application/yaml"}
    return await service.client.post("/api/import", content=content, headers=headers, params=query, timeout=60)


@pytest.mark.promise("plan:large")
@pytest.mark.parametrize("form", ["yaml", "json", "pieces"])
async def test_a_plan_of_several_megabytes_is_imported(service: HttpService, spool_folder: Path, form: str) -> None:
    assert len(LARGE) > 3 * BODY_BYTES
    before = files_in(spool_folder)
    if form == "json":
        body = orjson.dumps({"document": LARGE})
        answer = await service.client.post("/api/import", content=body, timeout=60)
    else:
        answer = await sent(service, LARGE.encode() if form == "yaml" else pieces(LARGE.encode()))
    assert (answer.status_code, answer.json()["created"]) == (200, TASKS + 1)
    assert (await service.ok("GET", "/api/tasks?limit=1"))["total"] == TASKS
    assert files_in(spool_folder) == before


@pytest.mark.promise("plan:large")
async def test_a_field_error_in_a_large_plan_has_its_place(service: HttpService) -> None:
    answer = await sent(service, (LARGE + "- nam: x\n").encode())
    assert answer.status_code == 422
    assert {fault["line"] for fault in answer.json()["details"]["errors"]} == {150 + TASKS + 2}


@pytest.mark.promise("plan:large", "request:limits")
async def test_a_plan_beyond_the_limit_is_refused_whether_or_not_its_length_is_declared(service: HttpService) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(PLAN_BYTES // BODY_BYTES + 1):
            yield b" " * BODY_BYTES

    for content in (b" " * (PLAN_BYTES + 1), endless()):
        answer = await sent(service, content)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert (answer.json()["details"]["limit"], "64 MiB" in answer.json()["hint"]) == (PLAN_BYTES, True)


@pytest.mark.promise("plan:large")
async def test_a_second_large_plan_must_be_sent_again_later_and_a_small_one_is_accepted(
    service: HttpService, spool_folder: Path
) -> None:
    paused, answers = anyio.Event(), []

    async def first() -> None:
        answers.append(await sent(service, pieces(LARGE.encode(), paused)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await until_spooled(spool_folder)
        for content in (LARGE.encode(), pieces(LARGE.encode())):
            refused = await sent(service, content)
            assert (refused.status_code, refused.json()["code"]) == (503, "import_in_progress")
            assert refused.headers["retry-after"] == "10"
        small = await sent(service, b"standalone_tasks:\n- name: Small\n")
        assert small.json()["created"] == 2
        paused.set()
    assert answers[0].json()["created"] == TASKS
    assert (await sent(service, LARGE.encode())).json()["unchanged"] == TASKS + 1


@pytest.mark.promise("plan:large")
async def test_a_disconnected_client_frees_its_place_for_the_next(service: HttpService, spool_folder: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sent, service, pieces(LARGE.encode(), anyio.Event()))
        await until_spooled(spool_folder)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(TIMEOUT):
        while (answer := await sent(service, LARGE.encode())).status_code == 503:  # until the place is free
            pass
    assert answer.json()["created"] == TASKS + 1


@pytest.mark.promise("plan:large")
async def test_a_client_that_stops_sending_is_refused_and_frees_its_place(
    service: HttpService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "STALLED_SECONDS", 0.05)
    head = b"POST /api/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(LARGE)

    def stalled() -> bytes:
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
            raw.sendall(head + LARGE.encode()[:BODY_BYTES])
            answer = b""
            while b"while reading" not in answer and (more := raw.recv(65536)):
                answer += more
            return answer

    answer = await anyio.to_thread.run_sync(stalled)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"timeout while reading the request body" in answer
    monkeypatch.undo()
    assert (await sent(service, LARGE.encode())).status_code == 200


@pytest.mark.promise("access:roles")
@pytest.mark.parametrize("role", ["viewer", "agent"])
async def test_a_role_that_may_not_import_is_refused_before_the_plan_is_read(
    service: HttpService, api: OperationsClient, role: str
) -> None:
    secret = await token(api, role)
    error = await service.error(403, "POST", "/api/import", b"{", **bearer(secret))
    assert error["code"] == "role_required"


@pytest.mark.promise("plan:large")
@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EACCES, 503)])
async def test_a_plan_that_finds_no_room_on_the_disk_is_refused(
    service: HttpService, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def full(**_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert (await sent(service, LARGE.encode())).status_code == status
    monkeypatch.undo()
    assert (await sent(service, LARGE.encode())).status_code == 200


@pytest.mark.promise("plan:large")
async def test_a_disk_that_becomes_full_during_a_plan_refuses_it(
    service: HttpService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115 the server closes it
    assert (await sent(service, LARGE.encode())).status_code == 507
    monkeypatch.undo()
    assert (await sent(service, LARGE.encode())).status_code == 200


async def test_a_plan_full_of_errors_is_not_read_to_the_end(service: HttpService) -> None:
    document = "standalone_tasks:\n" + "- {}\n" * (reader.MAX_DIAGNOSTICS + 1000)
    error = (await sent(service, document.encode())).json()
    assert error["details"]["total"] == reader.MAX_DIAGNOSTICS + 1
    assert len(error["details"]["errors"]) == diagnostics.MAX_DIAGNOSTICS


async def test_a_mapping_with_too_many_keys_is_one_field_error(service: HttpService) -> None:
    keys = "".join(f"  key{number}: x\n" for number in range(MAX_KEYS + 1))
    error = (await sent(service, f"standalone_tasks:\n- name: x\n{keys}".encode())).json()
    assert [fault["message"] for fault in error["details"]["errors"]] == ["mapping has more than 256 keys"]


@pytest.mark.slow
async def test_of_many_cycles_the_first_are_named_and_a_long_one_is_cut_short(service: HttpService) -> None:
    pairs = "".join(
        f"- name: A{number}\n  depends_on: B{number}\n- name: B{number}\n  depends_on: A{number}\n"
        for number in range(1000)
    )
    error = (await sent(service, f"standalone_tasks:\n{pairs}".encode())).json()
    assert error["details"]["total"] == 10
    long = "".join(f"- name: T{number}\n  depends_on: T{(number + 1) % 3000}\n" for number in range(3000))
    error = (await sent(service, f"standalone_tasks:\n{long}".encode())).json()
    (fault,) = error["details"]["errors"]
    assert fault["message"].endswith("-> (2981 more) -> 'T0'")
