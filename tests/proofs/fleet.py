"""A person who runs twelve agents from the keyboard of the dashboard for half an hour."""

import tempfile
from pathlib import Path

from project_manager.store.migrations import upgrade
from tests.bench.report import table
from tests.e2e.dashboard.browser import chromium
from tests.e2e.dashboard.fleet_shift import run_shift
from tests.e2e.service import Service

MINUTES = 30
TASKS = 1500
WORK_SECONDS = (3.0, 20.0)


def run(seed: int) -> str:
    """Run the fleet and the person. Return a table of the leases by their end, and one of the decisions."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, chromium() as browser:
        service = Service(Path(folder))
        upgrade(str(service.database))
        service.start()
        try:
            shift = run_shift(service, browser, seed, TASKS, MINUTES * 60.0, WORK_SECONDS)
        finally:
            service.end()
    assert shift.fleet.problems == [], shift.fleet.problems[:5]
    assert (shift.missed, shift.left) == ([], 0), (shift.missed, shift.left)
    ends = [[name, f"{number:,}"] for name, number in sorted(shift.fleet.done.items())]
    decided = [[name, f"{number:,}"] for name, number in sorted(shift.operator.decisions.items())]
    checks = [
        ["decisions on another row than the one with the focus", str(len(shift.missed))],
        ["reviews and questions left", str(shift.left)],
        ["claims without a task", f"{shift.fleet.empty_claims:,}"],
        ["late writes of silent agents, refused", f"{shift.fleet.stale:,}"],
    ]
    return "\n".join(
        [
            table(["end of a lease", "number"], ends),
            table(["decided in the group", "by keyboard"], decided),
            table(["check", "number"], checks),
        ]
    )
