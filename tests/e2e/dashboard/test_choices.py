"""Choice lists keep their order and start at the current value."""

import re

from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

PENDING = re.compile(r"\bpending\b")
ORDER = ["Backlog", "To do", "In progress", "Review", "Blocked", "Done", "Cancelled"]
PRIORITIES = ["P0 Urgent", "P1 High", "P2 Normal", "P3 Low", "P4 Lowest"]


def ask(tab: Dashboard, task: int, key: str) -> Locator:
    """Open the choice list of a task with a key and return its entries."""
    tab.card(task).focus()
    tab.page.keyboard.press(key)
    entries = tab.page.get_by_test_id("palette-entry")
    expect(entries.first).to_be_visible()
    return entries


def names(entries: Locator) -> list[str]:
    return [entry.locator(".clip").first.inner_text() for entry in entries.all()]


def selected(tab: Dashboard) -> Locator:
    return tab.page.locator('[data-testid="palette-entry"][aria-selected="true"]')


def test_the_move_list_has_the_order_of_the_board_and_its_first_enter_changes_nothing(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Move me")
    with dashboard(service, browser) as tab:
        tab.open()
        assert names(ask(tab, task, "m")) == ORDER
        expect(selected(tab)).to_contain_text("To do")
        expect(selected(tab)).to_contain_text("now")
        before = client.last_seq()
        tab.page.keyboard.press("Enter")
        expect(tab.dialog).to_have_count(0)
        ask(tab, task, "m")
        tab.page.keyboard.press("ArrowDown")
        tab.page.keyboard.press("Enter")
        expect(tab.card_in("IN_PROGRESS", task)).not_to_have_class(PENDING)
        assert client.last_seq() == before + 1
        assert client.get_task(task)["status"] == "IN_PROGRESS"


def test_no_status_that_closes_a_task_is_preselected(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    tasks = {
        status: client.create_task(project, status) for status in ("BACKLOG", "REVIEW", "BLOCKED", "DONE", "CANCELLED")
    }
    for status, task in tasks.items():
        client.set_status(task, status)
    with dashboard(service, browser) as tab:
        for status, task in tasks.items():
            tab.open(f"/?status={status}")
            entries = ask(tab, task, "m")
            assert names(entries) == [name for name in ORDER if name in names(entries)]
            expect(selected(tab).locator(".kind")).to_have_text("now")
            tab.page.keyboard.type("d")
            expect(entries.filter(has_text="Backlog")).to_have_count(0)
            for chosen in selected(tab).all():
                assert chosen.locator(".clip").first.inner_text() not in ("Done", "Cancelled")


def test_a_closing_status_is_selected_when_only_its_name_matches(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Finish me")
    with dashboard(service, browser) as tab:
        tab.open()
        ask(tab, task, "m")
        tab.page.keyboard.type("ne")
        expect(selected(tab)).to_contain_text("Done")
        tab.page.keyboard.press("Enter")
        expect(tab.card_in("DONE", task)).to_be_visible()


def test_priorities_are_in_order_and_a_digit_chooses_one(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Weigh me", priority=1)
    with dashboard(service, browser) as tab:
        tab.open()
        before = client.last_seq()
        assert names(ask(tab, task, "p")) == PRIORITIES
        expect(selected(tab)).to_contain_text("P1 High")
        tab.page.keyboard.press("Enter")
        expect(tab.dialog).to_have_count(0)
        assert client.last_seq() == before
        ask(tab, task, "p")
        tab.page.keyboard.press("0")
        expect(tab.dialog).to_have_count(0)
        expect(tab.card(task).locator(".priority")).to_contain_text("P0")
        expect(tab.card(task)).not_to_have_class(PENDING)
        assert client.get_task(task)["priority"] == 0
        ask(tab, task, "p")
        tab.page.keyboard.press("ArrowDown")
        tab.page.keyboard.press("Enter")
        expect(tab.card(task).locator(".priority")).to_contain_text("P1")


def test_the_task_page_lists_statuses_in_the_order_of_the_board(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Move me")
    client.set_status(task, "REVIEW")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        select = tab.page.get_by_test_id("move")
        expect(select).to_have_value("REVIEW")
        assert select.locator("option").all_inner_texts() == ORDER
