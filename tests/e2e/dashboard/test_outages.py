"""Every view after the death of the server, a sleep of the computer and an outage: stale, then up to date by itself."""

import re

from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

AGENT = "codex-main"
SLEEP_MS = 20 * 60_000


def pass_time(tab: Dashboard, until: Locator, text: str | re.Pattern[str]) -> None:
    """Move the clock of the page until the element has the text. The clock stands still between the moves."""
    for _ in range(40):
        tab.page.clock.run_for(1000)
        try:
            expect(until).to_contain_text(text, timeout=500)
        except AssertionError:
            continue
        return
    expect(until).to_contain_text(text)


def test_each_view_is_stale_while_the_server_is_dead_and_catches_up_by_itself(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    held = client.create_task(project, "Held")
    client.claim(held, AGENT, 3600)
    with (
        dashboard(service, browser) as table,
        dashboard(service, browser) as needs,
        dashboard(service, browser) as agent,
        dashboard(service, browser) as flow,
    ):
        tabs = {"table": table, "needs": needs, f"agents&agent={AGENT}": agent, "flow": flow}
        for view, tab in tabs.items():
            tab.page.clock.install()
            tab.open(f"/?view={view}")
        expect(agent.page.get_by_test_id("agent-state")).to_have_text("Working")
        service.kill()
        for tab in tabs.values():
            tab.expect_status("reconnecting")
            tab.page.clock.fast_forward(SLEEP_MS)
            tab.expect_status("stale")
            expect(tab.page.get_by_test_id("stale")).to_be_visible()
            expect(tab.page).to_have_title(re.compile(r"^\(\?\) "))
            expect(tab.page.get_by_test_id("strip")).to_contain_text("unknown since")
        expect(agent.page.get_by_test_id("agent-state")).to_have_text("Unknown")
        expect(agent.page.get_by_test_id("agent-doing")).to_contain_text("working on")
        expect(agent.page.locator(".lock-chip")).to_contain_text("unknown")
        read: list[str] = []
        flow.page.on("response", lambda answer: read.append(answer.url) if "/api/flow?" in answer.url else None)
        service.start()
        client.add_log(held, "Written meanwhile", agent_id=AGENT)
        late = client.create_task(project, "Made meanwhile")
        client.claim(late, "codex-2")
        client.set_status(late, "REVIEW", agent_id="codex-2", note="Read me")
        shown: dict[str, tuple[Locator, str]] = {
            "table": (table.page.get_by_test_id("table-row").filter(has_text="Made meanwhile"), "Review"),
            "needs": (needs.page.get_by_test_id("need"), "Read me"),
            f"agents&agent={AGENT}": (agent.page.get_by_test_id("agent-log"), "Written meanwhile"),
        }
        for view, (element, text) in shown.items():
            pass_time(tabs[view], element, text)
            tabs[view].expect_status("live")
            expect(tabs[view].page.get_by_test_id("stale")).to_have_count(0)
        pass_time(flow, flow.connection, "Live")
        flow.page.clock.run_for(2000)
        service.wait_until(lambda: flow.page.evaluate("true") and read)
        expect(flow.page.get_by_test_id("flow-error")).to_have_count(0)
        expect(agent.page.get_by_test_id("agent-state")).to_have_text("Working")
