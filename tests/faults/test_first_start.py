"""The first start in an empty folder: killed half-way, or run by two processes at once."""

import sqlite3
from contextlib import closing

from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS


def test_a_first_start_that_was_killed_half_way_can_be_repeated(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    for _ in range(3):
        service.spawn()
        service.wait_until(service.database.exists, START_SECONDS)
        service.kill()
    service.start()
    with service.http() as http:
        assert http.post("/api/tasks", json={"name": "first"}).status_code == 201


def test_two_first_starts_at_once_end_with_one_database(prepare_service: Start) -> None:
    one = prepare_service(empty=True)
    two = prepare_service(empty=True)
    one.spawn()
    two.spawn()
    for service in (one, two):
        service.wait_until(service.is_healthy, START_SECONDS)
    with one.http() as first, two.http() as second:
        assert first.post("/api/tasks", json={"name": "first"}).json()["id"] == 1
        assert second.post("/api/tasks", json={"name": "second"}).json()["id"] == 2
        assert len(first.get("/api/tasks").json()["items"]) == 2


def test_a_service_starts_again_after_a_restart_of_its_machine(prepare_service: Start) -> None:
    service = prepare_service().start()
    service.kill()
    with closing(sqlite3.connect(service.database)) as database:
        changed = database.execute("UPDATE instances SET host = substr(host, 1, instr(host, '@')) || 'earlier boot'")
        assert changed.rowcount == 1
        database.commit()
    service.start()


def test_an_agent_with_a_refused_first_request_is_known_once_it_has_a_lease(start_service: Start) -> None:
    with start_service().http() as http:
        http.post("/api/tasks", json={"name": "there"})
        assert http.post("/api/tasks/99/lock", json={"agent_id": "ada"}).status_code == 404
        assert http.post("/api/tasks/1/lock", json={"agent_id": "ada"}).status_code == 200
        assert len(http.get("/api/agents/ada").json()["locks"]) == 1
