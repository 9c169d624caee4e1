"""Activity: the words of reports, one row for many events of an agent, and filters in the address."""

import re

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.layout import resize, wider
from tests.e2e.service import Service


def test_reports_have_words_many_events_one_row_and_filters_are_in_the_address(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Website")
    task = client.create_task(project, "Paint")
    client.claim(task, "codex")
    client.add_log(task, "Found the *leak* in cart.py\n\nIt was a loop.", agent_id="codex")
    other = client.create_task(project, "Print")
    client.claim(other, "claude")
    with dashboard(service, browser) as tab:
        page = tab.page
        tab.open("/?view=activity")
        lines = page.get_by_test_id("event-line")
        expect(lines).to_have_text(["Found the leak in cart.py"])
        expect(page.get_by_test_id("event").first.locator("time")).to_have_text(
            re.compile(r"\d+ s ago|just now|1 min ago")
        )
        page.get_by_test_id("filter-agent").select_option("claude")
        expect(lines).to_have_count(0)
        expect(page.get_by_test_id("event")).to_have_count(1)
        page.get_by_test_id("filter-agent").select_option("")
        page.get_by_label("Kind of event").select_option("logs")
        page.get_by_test_id("activity-text").fill("LEAK codex")
        expect(page).to_have_url(re.compile(r"kind=logs&text=LEAK"))
        expect(lines).to_have_count(1)
        page.get_by_test_id("activity-text").fill("nowhere")
        expect(page.get_by_text("No such events")).to_be_visible()
        for number in range(12):
            client.add_log(other, f"Step {number}", agent_id="claude")
        tab.open("/?view=activity&agent=claude&kind=logs")
        many = page.get_by_test_id("events-of-minute").first
        expect(many).to_contain_text(re.compile(rf"claude\s*reported progress on #{other} \(\d+ times\)\s*Step \d+"))
        many.get_by_role("button", name=re.compile("Show")).click()
        expect(many.get_by_test_id("event").first).to_be_visible()
        assert tab.violations() == []
        resize(tab, 320)
        assert wider(tab) == []
