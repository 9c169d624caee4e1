"""Floods by clients: the memory of the service stays bounded, and other clients are served meanwhile.

`scripts/prove floods` runs the same floods at their full size.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service, sample
from tests.faults.flooding import Flood, poured, run_flood
from tests.faults.floods import FLOODS, Flooded, flooded_service, sized

PEAK_MB = 300
SMALL_SIZE = 0.2

pytestmark = pytest.mark.promise("connection:limits")


@pytest.fixture(scope="module")
def flooded(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flooded]:
    """Yield one service for all floods, so that leaked memory adds up."""
    with flooded_service(Service(tmp_path_factory.mktemp("floods"))) as made:
        yield made
        assert "Traceback" not in made.service.log


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_fills_no_memory_and_others_are_served(flooded: Flooded, name: str) -> None:
    found = run_flood(flooded.service, flooded.flood(sized(FLOODS[name], SMALL_SIZE)), flooded.works)
    assert found.failures == []
    assert min(found.alive, found.claims) > 0
    assert found.peak_mb < PEAK_MB


def test_more_silent_connections_than_files_leave_room_for_others(prepare_service: Start) -> None:
    service = prepare_service()
    service.launcher = ["prlimit", "--nofile=400:400"]
    service.start()
    with poured(service.port, Flood(b"", connections=800)), service.http() as http:
        for _ in range(3):
            assert http.get("/livez", headers={"Connection": "close"}).status_code == 200
        page = http.get("/metrics").text
    assert sample(page, 'project_manager_connections{listener="api"}') <= 400 - 128
    assert sample(page, 'project_manager_connections_refused_total{reason="cap"}') > 400
    assert sample(page, 'project_manager_connections_refused_total{reason="accept_failed"}') == 0
    warnings = [line["message"] for line in service.lines("connection_limit")]
    assert len([message for message in warnings if "recovered" not in message]) == 1


def test_connections_that_cannot_be_accepted_wait_and_are_warned_about_once(start_service: Start) -> None:
    service = start_service()
    with service.http() as http:
        http.get("/livez")
    allowed = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    opened = max(int(name) for name in os.listdir(f"/proc/{service.pid}/fd"))  # noqa: PTH208
    with httpx.Client(base_url=service.url, timeout=TIMEOUT, trust_env=False) as http:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (opened, allowed[1]))
        with poured(service.port, Flood(b"", connections=50)):
            service.wait_until(lambda: service.lines("accept_failed"))
            resource.prlimit(service.pid, resource.RLIMIT_NOFILE, allowed)
            assert http.get("/livez").status_code == 200
            service.wait_until(lambda: len(service.lines("accept_failed")) == 2)
        assert sample(http.get("/metrics").text, 'project_manager_connections_refused_total{reason="accept_failed"}')
    first, last = (line["message"] for line in service.lines("accept_failed"))
    assert first == "cannot accept connections: Too many open files"
    assert last == "cannot accept connections: recovered"
