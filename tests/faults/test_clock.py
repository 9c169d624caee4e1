"""Jumps of the wall clock: each lease ends once, and time in the log never goes back."""

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import Service, sample
from tests.faults import history
from tests.faults.shim import Shim

HALF_HOUR = 1800
TEN_YEARS = 10 * 365 * 24 * 3600


@pytest.fixture
def service(prepare_service: Start, shim: Shim) -> Service:
    service = prepare_service()
    service.start(**shim.variables(service.database))
    with service.http() as http:
        http.post("/api/tasks", json={"name": "contested"})
    return service


def claim(http: httpx.Client, agent: str, ttl: int = 60) -> httpx.Response:
    return http.post("/api/tasks/1/lock", json={"agent_id": agent, "ttl_seconds": ttl})


def finish(http: httpx.Client, agent: str, fence: int) -> httpx.Response:
    body = {"agent_id": agent, "fence": fence, "status": "DONE"}
    return http.post("/api/tasks/1/status", json=body)


def check_log(http: httpx.Client) -> None:
    events = history.all_events(http)
    history.check_numbers(events)
    history.check_one_holder(events)
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)


def test_after_a_jump_forward_leases_have_ended_and_their_fences_are_stale(service: Service, shim: Shim) -> None:
    with service.http() as http:
        assert claim(http, "early").json()["lock"]["fence"] == 1
        shim.shift_clock(HALF_HOUR)
        assert claim(http, "late").json()["lock"]["fence"] == 2
        assert finish(http, "early", 1).json()["code"] == "stale_fence"
        assert finish(http, "late", 2).status_code == 200
        check_log(http)


def test_after_a_jump_back_leases_continue_and_end_after_their_duration(service: Service, shim: Shim) -> None:
    with service.http() as http:
        before = claim(http, "holder").json()["lock"]
        shim.shift_clock(-HALF_HOUR)
        assert claim(http, "other").json()["code"] == "lock_held"
        renewed = claim(http, "holder", ttl=1).json()["lock"]
        assert renewed["fence"] == before["fence"]
        service.wait_until(lambda: is_free(http))
        assert claim(http, "other").json()["lock"]["fence"] == before["fence"] + 1
        assert http.get("/healthz").status_code == 200
        check_log(http)


@pytest.mark.promise("clock:wrong")
def test_a_clock_that_is_ten_years_ahead_for_a_moment_has_no_lasting_effect(service: Service, shim: Shim) -> None:
    with service.http() as http:
        shim.shift_clock(TEN_YEARS)
        assert claim(http, "holder", ttl=1).status_code == 200
        assert http.get("/readyz").json()["checks"]["clock"] is False
        assert service.lines("clock_jumped")
        shim.shift_clock(0)
        service.wait_until(lambda: is_free(http))
        assert abs(difference(http)) < HALF_HOUR
        assert http.get("/readyz").json()["status"] == "ready"
        check_log(http)


@pytest.mark.promise("clock:wrong")
def test_a_start_with_a_clock_ten_years_ahead_has_no_lasting_effect(service: Service, shim: Shim) -> None:
    service.kill()
    shim.shift_clock(TEN_YEARS)
    service.start(**shim.variables(service.database))
    with service.http() as http:
        assert claim(http, "holder", ttl=1).status_code == 200
        service.wait_until(lambda: is_free(http))
        shim.shift_clock(0)
        assert abs(difference(http)) < HALF_HOUR
        check_log(http)


def is_free(http: httpx.Client) -> bool:
    return http.get("/api/tasks/1").json()["lock"] is None


def difference(http: httpx.Client) -> float:
    """Return the seconds by which database time is ahead of the wall clock."""
    return sample(http.get("/metrics").text, "project_manager_clock_difference_seconds")


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_clock_that_was_set_back_while_the_service_was_down_changes_nothing(
    service: Service, shim: Shim, killed: bool
) -> None:
    shim.shift_clock(HALF_HOUR)
    with service.http() as http:
        before = claim(http, "holder").json()["lock"]
    if killed:
        service.kill()
    else:
        assert service.stop() == 0
    shim.shift_clock(0)
    service.start(**shim.variables(service.database))
    with service.http() as http:
        assert claim(http, "other").json()["code"] == "lock_held"
        renewed = claim(http, "holder").json()["lock"]
        assert (renewed["fence"], renewed["acquired_at"]) == (before["fence"], before["acquired_at"])
        assert finish(http, "holder", before["fence"]).status_code == 200
        check_log(http)


def test_two_servers_with_different_clocks_agree_on_the_lease_holder(
    service: Service, shim: Shim, prepare_service: Start
) -> None:
    shim.shift_clock(HALF_HOUR)
    truthful = prepare_service(DATABASE_PATH=service.database).start()
    with service.http() as ahead, truthful.http() as behind:
        assert claim(ahead, "holder").json()["lock"]["fence"] == 1
        assert claim(behind, "other").json()["code"] == "lock_held"
        assert behind.get("/api/tasks/1").json()["lock"]["holder"] == "holder"
        assert finish(behind, "holder", 1).status_code == 200
        check_log(ahead)
