"""Large responses to many clients at once: the memory of an instance is bounded for any size of database."""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import Service

TASKS, TEXT_BYTES, AT_A_TIME = 2_000, 32 * 1024, 30
AT_ONCE = 8
ATTEMPTS, TIMEOUT = 20, 30.0
IDENTITY = {"accept-encoding": "identity"}
PEAK_MB = 220
"""Limit of the peak memory in MB.

An idle service uses 95 MB, and a container of compose.yaml may use 512 MB. Three readers, two exports and the sockets
of 24 clients add up to 140 MB in measurements. The text has 62 MB. Two complete encoded copies of it exceed the limit.
"""


def fill(service: Service) -> None:
    """Create tasks with long descriptions. Each description is different."""
    with service.http() as http:
        for first in range(0, TASKS, AT_A_TIME):
            tasks = [{"name": f"task {number}", "description": text_of(number)} for number in numbers(first)]
            assert http.post("/api/tasks/bulk", json={"tasks": tasks}).status_code == 201


def numbers(first: int) -> range:
    return range(first, min(first + AT_A_TIME, TASKS))


def text_of(number: int) -> str:
    return f"{line_of(number)}\n" * (TEXT_BYTES // (len(line_of(number)) + 1))


def line_of(number: int) -> str:
    return f"{number:05} {'x' * 500}"


def peak_mb(service: Service) -> float:
    """Return the peak resident memory of the process."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def fetched(service: Service, path: str) -> tuple[int, str]:
    """Return size and digest of the whole response. Repeat the request while the service is busy."""
    for _ in range(ATTEMPTS):
        with httpx.stream("GET", service.url + path, headers=IDENTITY, timeout=TIMEOUT) as answer:
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                assert json.loads(answer.read())["code"] == "queue_full"
                continue
            assert answer.status_code == 200
            digest, size = hashlib.sha256(), 0
            for chunk in answer.iter_raw():
                digest.update(chunk)
                size += len(chunk)
            return size, digest.hexdigest()
    raise AssertionError(f"{path} was refused {ATTEMPTS} times")


@pytest.mark.promise("memory:bounded")
def test_many_large_answers_at_once_do_not_fill_the_memory(start_service: Start) -> None:
    service = start_service()
    fill(service)
    assert service.stop() == 0
    service.start()
    greedy = ["/api/export", "/api/board/state", "/api/tasks?limit=500"] * AT_ONCE
    with ThreadPoolExecutor(len(greedy)) as clients:
        answers = list(clients.map(lambda path: (path, *fetched(service, path)), greedy))
    assert peak_mb(service) < PEAK_MB
    assert Counter(Counter(answers).values()) == {AT_ONCE: 3}
    size = {path: size for path, size, _ in answers}
    assert size["/api/export"] > TASKS * TEXT_BYTES
    assert size["/api/board/state"] < TASKS * 2048
    with service.http() as http:
        document = http.get("/api/export", timeout=TIMEOUT).json()["document"]
    assert {line_of(number) for number in range(TASKS)} <= {line.strip() for line in document.splitlines()}
