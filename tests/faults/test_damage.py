"""Pages of the database are overwritten while the service runs: it reports this, refuses writes and serves reads."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service, sample

PAGE = 4096
TASKS = 100
LARGE = "x" * 20_000
HIT = TASKS // 2
METRIC = "project_manager_database_damaged"

Meet = Callable[[httpx.Client], httpx.Response]
MEETINGS: dict[str, Meet] = {
    "a reader": lambda http: http.get(f"/api/tasks/{HIT}"),
    "a long read": lambda http: http.get("/api/export"),
    "the writer": lambda http: http.post(f"/api/tasks/{HIT}/lock", json={"agent_id": "ann"}),
}


@pytest.fixture
def service(prepare_service: Start) -> Service:
    """Start a service with a valid backup. Its connections have not read the tasks yet."""
    service = prepare_service()
    cli = CommandLine(service.folder)
    place = ("--db-path", str(service.database))
    plan = {"projects": [{"name": "Garden", "tasks": [{"name": f"T{n}", "description": LARGE} for n in range(TASKS)]}]}
    cli.says("import", "-", *place, stdin=json.dumps(plan))
    cli.says("backup", str(service.folder / "good.db"), *place)
    return service.start()


def overwrite(database: Path) -> None:
    """Overwrite the heads of the pages in the middle with zeros. These pages contain the descriptions."""
    pages = database.stat().st_size // PAGE
    with database.open("r+b") as file:
        for page in range(pages // 4, pages * 3 // 4):
            file.seek(page * PAGE)
            file.write(bytes(64))


@pytest.mark.promise("file:damaged")
@pytest.mark.parametrize("meet", MEETINGS.values(), ids=MEETINGS)
def test_damage_that_a_request_meets_stops_writes_and_not_reads(service: Service, meet: Meet) -> None:
    overwrite(service.database)
    with service.http() as http:
        assert sample(http.get("/metrics").text, METRIC) == 0
        refusal = meet(http)
        assert (refusal.status_code, refusal.json()["code"]) == (503, "database_damaged")
        assert "restore" in refusal.json()["hint"]
        written = http.post("/api/projects", json={"name": "More"})
        assert (written.status_code, written.json()["code"]) == (503, "database_damaged")
        assert http.get("/api/projects").json()["total"] == 1
        health = http.get("/healthz")
        assert health.status_code == 503
        assert health.json()["database_connected"] is True
        assert "damaged" in health.json()["reasons"][0]
        assert http.get("/readyz").json()["checks"]["integrity"] is False
        assert sample(http.get("/metrics").text, METRIC) == 1
    assert [line["level"] for line in service.lines("database_damaged")] == ["ERROR"]


def test_a_restored_database_is_served_again(service: Service) -> None:
    overwrite(service.database)
    with service.http() as http:
        assert http.get("/api/export").status_code == 503
    service.stop()
    CommandLine(service.folder).says("restore", "good.db", "--db-path", str(service.database))
    service.start()
    with service.http() as http:
        assert http.post("/api/projects", json={"name": "More"}, timeout=TIMEOUT).status_code == 201
        assert sample(http.get("/metrics").text, METRIC) == 0
