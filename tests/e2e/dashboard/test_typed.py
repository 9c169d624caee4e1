"""A stray key or click does not discard typed text."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service


@pytest.fixture(scope="module")
def task(shared_client: RestClient) -> int:
    return shared_client.create_task(shared_client.create_project(), "As it was")


def question(tab: Dashboard) -> Locator:
    return tab.page.get_by_test_id("discard")


def press_escape(tab: Dashboard) -> None:
    tab.page.keyboard.press("Escape")


def click_backdrop(tab: Dashboard) -> None:
    tab.page.mouse.click(5, 5)


def click_cross(tab: Dashboard) -> None:
    tab.dialog.get_by_role("button", name="Close").click()


def click_cancel(tab: Dashboard) -> None:
    tab.dialog.get_by_role("button", name="Cancel").click()


WAYS_OUT = (press_escape, click_backdrop, click_cross, click_cancel)


@pytest.mark.parametrize("leave", WAYS_OUT)
def test_a_form_with_unsaved_text_asks_before_it_closes(
    shared: Service, browser: Browser, task: int, leave: Callable[[Dashboard], None]
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Half an idea")
        leave(tab)
        expect(question(tab)).to_contain_text("Unsaved changes")
        expect(tab.page.get_by_test_id("keep-editing")).to_be_focused()
        tab.page.get_by_test_id("keep-editing").click()
        expect(question(tab)).to_have_count(0)
        expect(tab.dialog.get_by_label("Name")).to_have_value("Half an idea")
        leave(tab)
        tab.page.get_by_test_id("discard-changes").click()
        expect(tab.dialog).to_have_count(0)


@pytest.mark.parametrize("leave", WAYS_OUT)
def test_an_unchanged_form_closes_at_once(
    shared: Service, browser: Browser, task: int, leave: Callable[[Dashboard], None]
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Name").fill("Other")
        tab.dialog.get_by_label("Name").fill("As it was")
        leave(tab)
        expect(tab.dialog).to_have_count(0)
        expect(tab.drawer).to_be_visible()


def test_repeated_escape_never_loses_the_text(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Edited")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Description").fill("An hour of work")
        for asked in (1, 0, 1, 0, 1):
            press_escape(tab)
            expect(question(tab)).to_have_count(asked)
        assert tab.violations() == []
        press_escape(tab)
        expect(tab.dialog.get_by_label("Description")).to_be_focused()
        expect(tab.dialog.get_by_label("Description")).to_have_value("An hour of work")
        tab.page.get_by_test_id("save").click()
        expect(tab.toast("Saved")).to_be_visible()
    assert client.get_task(task)["description"] == "An hour of work"


def test_a_forced_close_of_the_dialog_restores_the_text(shared: Service, browser: Browser, task: int) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Half an idea")
        tab.dialog.evaluate("(dialog) => dialog.close()")
        expect(question(tab)).to_be_visible()
        expect(tab.dialog.get_by_label("Name")).to_have_value("Half an idea")


def test_escape_in_an_unsent_comment_leaves_the_field_and_keeps_the_task_open(
    shared: Service, browser: Browser, task: int
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open(f"/?task={task}")
        box = tab.page.get_by_test_id("log-body")
        box.fill("I think that")
        box.press("Escape")
        expect(tab.drawer).to_be_focused()
        expect(box).to_have_value("I think that")
        box.fill("")
        box.press("Escape")
        expect(tab.drawer).to_have_count(0)


def test_an_unsent_comment_is_kept_with_its_task(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task, other = client.create_task(project, "One"), client.create_task(project, "Other")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        box = tab.page.get_by_test_id("log-body")
        box.fill("I think that")
        tab.drawer.get_by_label("Kind").select_option("handoff")
        tab.page.get_by_test_id("close-task").click()
        tab.card(other).click()
        expect(box).to_have_value("")
        tab.page.reload()
        tab.card(task).click()
        expect(box).to_have_value("I think that")
        expect(tab.drawer.get_by_label("Kind")).to_have_value("handoff")
        box.press("Control+Enter")
        expect(tab.page.get_by_test_id("log-entry").first).to_contain_text("I think that")
        tab.page.reload()
        expect(tab.page.get_by_test_id("log-entry").first).to_contain_text("I think that")
        expect(box).to_have_value("")


def test_the_first_task_can_be_created_together_with_its_project(
    service: Service, browser: Browser, client: RestClient
) -> None:
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        expect(tab.dialog).to_contain_text("A task belongs to a project. Create a project first")
        assert tab.violations() == []
        tab.dialog.get_by_label("Name").fill("Checkout")
        tab.page.get_by_test_id("save").click()
        expect(tab.dialog.get_by_role("heading", name="New task")).to_be_visible()
        expect(tab.dialog.get_by_label("Project")).to_have_value("1")
        tab.dialog.get_by_label("Name").fill("Write the parser")
        tab.page.get_by_test_id("save").click()
        expect(tab.drawer).to_contain_text("Write the parser")
        after = client.get_task(1)
    assert (after["name"], after["project_id"]) == ("Write the parser", 1)
