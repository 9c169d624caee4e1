"""The pages of the dashboard: their addresses, headings, and an element of each that shows its data."""

from collections.abc import Sequence
from typing import NamedTuple

from playwright.sync_api import expect

from tests.e2e.dashboard.browser import Dashboard


class View(NamedTuple):
    """`data` is the selector of an element that the view shows as soon as it has its data."""

    name: str
    address: str
    heading: str
    data: str

    def open(self, tab: Dashboard) -> None:
        """Open the view and return when its data is visible."""
        tab.open(self.address)
        expect(tab.page.locator(self.data).filter(visible=True).first).to_be_visible()


def by_id(test_id: str) -> str:
    return f'[data-testid="{test_id}"]'


def views_with(task: int, agent: str, column: str = "TODO") -> Sequence[View]:
    """Return all views. The task is claimed by the agent and has a log; `column` is the one that a phone shows.

    Flow has data as soon as the roll-ups follow the events; until then, give it made-up numbers (FlowServer).
    """
    return (
        View("board", f"/?status={column}", "Board", by_id("card")),
        View("table", "/?view=table", "Table", by_id("table-row")),
        View("needs", "/?view=needs", "Needs you", by_id("need")),
        View("agents", "/?view=agents", "Agents", by_id("agent")),
        View("agent", f"/?view=agents&agent={agent}", agent, by_id("agent-hold")),
        View("activity", "/?view=activity", "Activity", f"{by_id('activity')} > li"),
        View("every event", "/?view=activity&kind=all", "Activity", by_id("event")),
        View("graph", "/?view=graph", "Dependencies", by_id("node")),
        View("flow", "/?view=flow", "Flow", by_id("chart-cumulative")),
        View("projects", "/?view=projects", "Projects", by_id("project")),
        View("task", f"/?task={task}", "Board", by_id("log-entry")),
        View("task page", f"/?task={task}&full=1", f"Task {task}", by_id("log-entry")),
    )
