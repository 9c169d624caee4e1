"""Selecting tasks on the board, by keyboard, pointer and touch."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service


def selected(tab: Dashboard) -> list[int]:
    return [int(card.get_attribute("data-task") or 0) for card in tab.page.locator(".card.selected").all()]


def expect_selected(tab: Dashboard, *tasks: int) -> None:
    """Wait until exactly these cards are selected, and the bar and the live region say their number."""
    expect(tab.page.locator(".card.selected")).to_have_count(len(tasks))
    assert selected(tab) == list(tasks)
    if tasks:
        words = f"{len(tasks)} task{'s' * (len(tasks) > 1)} selected"
        expect(tab.page.get_by_test_id("selected-count")).to_have_text(f"{len(tasks)} selected")
        expect(tab.page.get_by_test_id("selection-status")).to_have_text(words)
    else:
        expect(tab.page.get_by_test_id("selection-bar")).to_have_count(0)


def test_cards_are_selected_by_key_range_click_column_and_filter(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    tasks = [client.create_task(project, f"Task {number}", labels=["odd"] * (number % 2)) for number in range(6)]
    with dashboard(service, browser) as tab:
        tab.open()
        keys = tab.page.keyboard
        tab.card(tasks[1]).focus()
        keys.press("x")
        expect_selected(tab, tasks[1])
        keys.press("Shift+ArrowDown")
        keys.press("Shift+ArrowDown")
        expect_selected(tab, *tasks[1:4])
        keys.press("Shift+ArrowUp")
        expect_selected(tab, *tasks[1:3])
        tab.card(tasks[5]).click(modifiers=["Control"])
        expect_selected(tab, *tasks[1:3], tasks[5])
        tab.card(tasks[3]).click(modifiers=["Shift"])
        expect_selected(tab, *tasks[1:])
        assert tab.violations() == []
        box = tab.page.get_by_role("checkbox", name=f"Select #{tasks[5]} Task 5")
        expect(box).to_be_checked()
        box.click()
        expect_selected(tab, *tasks[1:5])
        client.send("DELETE", f"/api/tasks/{tasks[1]}")
        expect_selected(tab, *tasks[2:5])
        keys.press("Escape")
        expect_selected(tab)
        column = tab.page.get_by_role("checkbox", name="Select all 5 tasks in To do")
        column.click()
        expect_selected(tab, tasks[0], *tasks[2:])
        column.click()
        expect_selected(tab)
        tab.filter_by("label", "odd")
        expect(tab.page.get_by_test_id("shown")).to_have_text("2 of 5 tasks")
        tab.card(tasks[3]).focus()
        keys.press("x")
        expect_selected(tab, tasks[3])
        tab.page.get_by_role("button", name="Select all 2 that match").click()
        expect_selected(tab, tasks[3], tasks[5])
        tab.chip("odd").get_by_role("button").click()
        expect(tab.page.get_by_test_id("shown")).to_have_text("5 tasks")
        expect_selected(tab, tasks[3], tasks[5])
        tab.page.get_by_test_id("search").fill("task 5")
        expect(tab.page.get_by_test_id("selected-hidden")).to_have_text("1 hidden by the filters")
        assert tab.page.url.count("task=") == 0
