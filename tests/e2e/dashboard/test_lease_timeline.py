"""The lanes of the last hour of each agent: each lease and how it ended."""

import sqlite3
from contextlib import closing

from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

EXPIRED_MS = 20_000
"""Time for a lease of one second, the expiry check of the server and the update of the page."""
FILLS = """bars => bars.map(bar => {
    const pattern = bar.getAttribute("fill")?.match(/#([^)]+)/)?.[1];
    return pattern ? getComputedStyle(document.getElementById(pattern)).color : getComputedStyle(bar).fill;
})"""


def bars(tab: Dashboard, kind: str = "") -> Locator:
    return tab.page.get_by_test_id("lanes").locator(f".lane-bar{kind}")


def set_reason(service: Service, agent: str, reason: str) -> None:
    """Change the end reason of a lease directly. An agent would need seconds to reach this end."""
    with closing(sqlite3.connect(service.database)) as database, database:
        changed = database.execute("UPDATE ended_leases SET reason = ? WHERE agent_id = ?", (reason, agent))
        assert changed.rowcount == 1


def ended(service: Service, client: RestClient, project: int) -> dict[str, str]:
    """End one lease in each possible way, each of another agent. Return the text of each end by agent."""
    for status in ("DONE", "REVIEW", "BLOCKED", "CANCELLED"):
        task = client.create_task(project, f"To {status}")
        client.claim(task, f"a-{status.lower()}")
        client.set_status(task, status, agent_id=f"a-{status.lower()}")
    task = client.create_task(project, "Handed around")
    client.claim(task, "a-released")
    client.release(task, "a-released")
    client.claim(task, "a-failed")
    client.release(task, "a-failed", failed=True)
    client.claim(task, "a-forced")
    client.send("DELETE", f"/api/tasks/{task}/lock", {"force": True})
    client.claim(task, "a-unconfirmed")
    client.release(task, "a-unconfirmed")
    set_reason(service, "a-unconfirmed", "unconfirmed")
    client.claim(task, "a-running")
    silent = client.create_task(project, "Silent")
    client.claim(silent, "a-expired", 1)
    return {
        "a-done": "done",
        "a-review": "sent to review",
        "a-blocked": "blocked",
        "a-cancelled": "cancelled",
        "a-released": "released",
        "a-failed": "released as failed",
        "a-forced": "ended by force",
        "a-unconfirmed": "never confirmed",
        "a-running": "in progress",
        "a-expired": "expired",
    }


def test_each_end_reason_of_a_lease_has_a_separate_colour_and_text(
    service: Service, browser: Browser, client: RestClient
) -> None:
    wanted = ended(service, client, client.create_project())
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        expect(bars(tab, ".expired")).to_be_attached(timeout=EXPIRED_MS)
        expect(bars(tab)).to_have_count(len(wanted))
        assert len(set(bars(tab).evaluate_all(FILLS))) == len(wanted)
        for words in wanted.values():
            expect(tab.page.get_by_test_id("lane-key")).to_contain_text(words)
        tab.page.get_by_text("As a list").click()
        rows = tab.page.get_by_test_id("lane-list").locator("tbody tr")
        expect(rows).to_have_count(len(wanted))
        for agent, words in wanted.items():
            expect(rows.filter(has_text=agent).locator("td").last).to_have_text(words)
        assert tab.violations() == []


def test_a_lease_is_shown_after_many_later_events(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task = client.create_task(project, "Long ago")
    client.claim(task, "early")
    client.set_status(task, "DONE", agent_id="early")
    for _ in range(3):
        tasks = [{"name": f"Filler {number}"} for number in range(500)]
        client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        expect(bars(tab, ".done title")).to_contain_text("Long ago: done")


def test_the_lanes_are_updated_live(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Followed")
    client.claim(task, "claude-7")
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        expect(bars(tab, ".running")).to_have_count(1)
        client.set_status(task, "BLOCKED", agent_id="claude-7")
        expect(bars(tab, ".blocked")).to_have_count(1)
        expect(bars(tab, ".running")).to_have_count(0)


def test_time_without_lease_data_is_shown_as_unknown(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Unseen")
    client.claim(task, "claude-7")
    with dashboard(service, browser) as tab:
        tab.page.route("**/api/leases?*", lambda route: route.abort())
        tab.open("/?view=agents")
        expect(tab.page.get_by_test_id("lane-unknown")).to_be_visible()
        expect(tab.page.get_by_test_id("lane-key")).to_contain_text("unknown")
        tab.page.unroute_all()
        client.set_status(task, "DONE", agent_id="claude-7")
        expect(bars(tab, ".done")).to_have_count(1)
        expect(tab.page.get_by_test_id("lane-unknown")).to_have_count(0)


def test_the_list_of_leases_is_readable_on_a_phone(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "A task with a name that is longer than a phone is wide")
    client.claim(task, "an-agent-with-a-name-of-some-letters")
    with dashboard(service, browser, viewport={"width": 320, "height": 700}) as tab:
        tab.open("/?view=agents")
        leases = tab.page.get_by_test_id("lane-list")
        leases.locator("summary").click()
        expect(leases.locator("tbody tr")).to_have_count(1)
        heads = [head.bounding_box() for head in leases.locator("th").all()]
        assert all(box is not None and box["width"] > 2 * box["height"] for box in heads)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
