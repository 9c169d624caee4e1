"""A person runs a fleet of agents from the keyboard of the dashboard."""

import random
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.fleet import Fleet
from tests.e2e.dashboard.fleet_operator import CHANGED_SINCE, MANY, Operator, decided
from tests.e2e.service import Service

WAITING = "/api/tasks?status=REVIEW,BLOCKED&limit=1"


@dataclass(frozen=True)
class Shift:
    """The result of a person and a fleet at work. `missed` names the decisions that differ from those aimed at."""

    fleet: Fleet
    operator: Operator
    missed: list[str]
    left: int


def run_shift(
    service: Service, browser: Browser, seed: int, tasks: int, seconds: float, work: tuple[float, float]
) -> Shift:
    """Let a person decide for `seconds`, pause and resume in the middle, and decide on the rest at the end."""
    client = RestClient(service)
    project = client.create_project("Export")
    later = [client.create_task(project, f"Later {number}", status="BACKLOG") for number in range(MANY + 5)]
    fleet = Fleet(service, seed, seconds=work)
    fleet.create_tasks(client, project, tasks)
    with dashboard(service, browser) as tab:
        tab.open()
        operator = Operator(tab, random.Random(seed))
        fleet.start()
        try:
            _decide_until(operator, client, seconds / 2)
            operator.pause()
            already = fleet.empty_claims
            service.wait_until(lambda: fleet.empty_claims >= already + fleet.agents, seconds=work[1] + 60)
            operator.resume()
            assert claims_during_the_pause(client) == []
            undone = operator.change_many(client, later[:MANY])
            assert f"{MANY - CHANGED_SINCE} undone, {CHANGED_SINCE} changed since" in undone
            _decide_until(operator, client, seconds / 2)
        finally:
            fleet.stop()
        operator.go_to_needs()
        while operator.decide():
            pass
        aimed = operator.aimed
        wanted = {key: number for key, number in aimed.items() if key[0] != "unblock"}
        found = decided(client)
        missed = [
            f"{act} #{task}: {found[act, task]} found, {wanted.get((act, task), 0)} aimed"
            for act, task in sorted({*found, *wanted})
            if found[act, task] != wanted.get((act, task), 0)
        ]
        open_now = client.send("GET", "/api/tasks?status=REVIEW&limit=1")["total"]
        questions = client.send("GET", "/api/questions?state=open&limit=1")["total"]
    return Shift(fleet, operator, missed, open_now + questions)


def is_claim(event: dict[str, Any]) -> bool:
    return not event.get("renewed", False)


def claims_during_the_pause(client: RestClient) -> list[str]:
    """Return the tasks that were claimed between the start and the end of the pause, with their holders."""
    [start, end] = client.send("GET", "/api/events?types=pause.started,pause.ended")["items"]
    events = client.send("GET", f"/api/events?since={start['seq']}&limit=500&types=task.locked")["items"]
    return [
        f"#{event['task_id']}: {event['actor']}" for event in events if is_claim(event) and event["seq"] < end["seq"]
    ]


def _decide_until(operator: Operator, client: RestClient, seconds: float) -> None:
    operator.go_to_needs()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not operator.decide():
            operator.tab.service.wait_until(lambda: client.send("GET", WAITING)["items"] or time.monotonic() > end)
