"""A person runs a fleet of agents from the keyboard of the dashboard, for some seconds."""

from playwright.sync_api import Browser

from tests.e2e.dashboard.fleet_shift import run_shift
from tests.e2e.service import Service

TASKS, SECONDS, SEED = 30, 6.0, 10


def test_a_person_runs_twelve_agents_by_keyboard(service: Service, browser: Browser) -> None:
    shift = run_shift(service, browser, SEED, TASKS, SECONDS, (0.2, 1.0))
    assert shift.fleet.problems == []
    assert (shift.missed, shift.left) == ([], 0)
    assert {"review", "questions", "blocked"} <= set(shift.operator.decisions)
