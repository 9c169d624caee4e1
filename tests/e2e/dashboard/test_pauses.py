"""Pauses on the dashboard: the banner, and the buttons that start and end one."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service


def confirm(tab: Dashboard, reason: str) -> None:
    tab.page.get_by_label("Reason").fill(reason)
    tab.page.get_by_test_id("save").click()


@pytest.mark.parametrize(
    ("address", "button", "target"),
    [
        ("/?task={task}", "pause-task", "Task #{task}"),
        ("/?view=projects", "pause-project", "Project Website"),
        ("/?view=agents", "pause-agent", "Agent codex"),
    ],
)
def test_an_operator_pauses_with_a_reason_and_resumes_in_the_banner(
    service: Service, browser: Browser, client: RestClient, address: str, button: str, target: str
) -> None:
    project = client.create_project("Website")
    task = client.create_task(project, "Paint")
    client.send("POST", "/api/tasks/claim", {"agent_id": "codex"})
    with dashboard(service, browser) as tab:
        tab.open(address.format(task=task))
        tab.page.get_by_test_id(button).first.click()
        confirm(tab, "The build is broken")
        banner = tab.page.get_by_test_id("pause")
        expect(banner).to_contain_text(f"{target.format(task=task)} is paused by local")
        expect(banner).to_contain_text("The build is broken")
        assert tab.violations() == []
        tab.page.get_by_test_id("nav-activity").click()
        expect(banner).to_be_visible()
        tab.page.get_by_test_id("resume").click()
        expect(banner).to_have_count(0)
        tab.page.keyboard.press("Control+z")
        expect(banner).to_contain_text("The build is broken")
        tab.page.keyboard.press("Control+z")
        expect(banner).to_have_count(0)
    assert client.send("GET", "/api/pauses")["items"] == []


def test_a_pause_of_all_work_appears_on_a_page_that_is_open(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project("Website"), "Paint")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        client.send("POST", "/api/pauses", {"scope": "all", "reason": "Fire drill"})
        expect(tab.page.get_by_test_id("pause")).to_contain_text("All work is paused by local")
        expect(tab.drawer).to_contain_text("all work is paused")
        tab.page.keyboard.press("Control+k")
        expect(tab.page.get_by_role("option", name="Pause all work")).to_have_count(0)
