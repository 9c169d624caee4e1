"""Filters, the table, and saved views."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

NAMES = ["Refund by card", "Refund by voucher", "Show the receipt", "Rotate the keys", "Write the guide"]
# The parents of the table that scroll, although the table scrolls by itself.
SCROLLS = """() => {
    const found = [];
    for (let part = document.querySelector('.table').parentElement; part; part = part.parentElement) {
        if (part.scrollHeight > part.clientHeight + 1) found.push(`${part.localName}.${part.className}`);
    }
    return found;
}"""
LABELS = [["backend", "bug"], ["backend"], ["frontend"], [], ["bug"]]


@pytest.fixture(scope="module")
def ids(shared_client: RestClient) -> list[int]:
    """Create five tasks, of which `ann` has finished the second one and holds the third one."""
    client = shared_client
    project = client.create_project()
    epic = client.create_epic(project, "Payments")
    tasks: list[int] = [
        client.create_task(project, name, labels=labels, priority=place, epic_id=epic if place < 2 else None)
        for place, (name, labels) in enumerate(zip(NAMES, LABELS, strict=True))
    ]
    lock = client.claim(tasks[1], "ann")
    client.set_status(tasks[1], "DONE", agent_id="ann", fence=lock["fence"])
    client.claim(tasks[2], "ann")
    return tasks


def expect_rows(tab: Dashboard, *names: str) -> None:
    expect(tab.page.get_by_test_id("table-row").locator(".cell-name")).to_have_text([*names])


def test_filters_of_several_values_are_chips_in_one_line_and_a_sheet_on_a_narrow_screen(
    shared: Service, browser: Browser, ids: list[int]
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open("/?changed=1h&created_by=local")
        shown = tab.page.get_by_test_id("shown")
        expect(shown).to_have_text("5 tasks")
        height = tab.page.locator(".filterbar").bounding_box()
        tab.filter_by("label", "backend")
        expect(shown).to_have_text("2 of 5 tasks")
        tab.filter_by("label", "bug")
        expect(shown).to_have_text("1 of 5 tasks")
        tab.page.keyboard.press("f")
        tab.page.get_by_test_id("filter-p0").click()
        tab.page.get_by_test_id("filter-p4").click()
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_test_id("filters")).to_be_focused()
        for name in ("backend", "bug", "P0, P4", "Last hour", "local"):
            expect(tab.chip(name)).to_be_visible()
        assert tab.page.locator(".filterbar").bounding_box() == height
        expect(tab.page).to_have_url(
            re.compile("label=backend&label=bug&priority=0&priority=4&created_by=local&changed=1h")
        )
        assert tab.violations() == []
        tab.chip("backend").get_by_role("button").click()
        expect(shown).to_have_text("2 of 5 tasks")
        tab.page.reload()
        expect(shown).to_have_text("2 of 5 tasks")
        tab.filter_by("worked_by", "ann")
        expect(tab.page.get_by_text("No task matches")).to_be_visible()
        tab.page.get_by_test_id("clear-filters").click()
        expect(tab.page.get_by_test_id("filter-chip")).to_have_count(0)
        tab.filter_by("worked_by", "ann")
        expect(shown).to_have_text("2 of 5 tasks")
        expect(tab.card(ids[1])).to_contain_text("ann")
        expect(tab.card(ids[2]).get_by_test_id("since")).to_have_text(re.compile("held <1 min"))
        tab.page.set_viewport_size({"width": 320, "height": 640})
        tab.page.get_by_test_id("filters").click()
        expect(tab.page.get_by_test_id("filter-changed")).to_be_visible()
        assert tab.violations() == []
        assert wider(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_table_is_sorted_grouped_and_used_by_keyboard(
    shared: Service, browser: Browser, ids: list[int], scheme: str
) -> None:
    with dashboard(shared, browser, color_scheme=scheme) as tab:
        tab.open()
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("t")
        expect_rows(tab, NAMES[0], NAMES[3], NAMES[4], NAMES[2], NAMES[1])
        name = tab.page.get_by_test_id("sort-name")
        head = tab.page.get_by_role("columnheader", name="Name")
        name.click()
        expect_rows(tab, *sorted(NAMES))
        expect(head).to_have_attribute("aria-sort", "ascending")
        name.click()
        expect_rows(tab, *sorted(NAMES, reverse=True))
        expect(head).to_have_attribute("aria-sort", "descending")
        expect(tab.page).to_have_url(re.compile(r"view=table&sort=-name$"))
        keys = tab.page.keyboard
        tab.page.get_by_role("link", name=NAMES[4]).focus()
        keys.press("j")
        expect(tab.page.get_by_role("link", name=NAMES[2])).to_be_focused()
        keys.press("x")
        expect(tab.page.get_by_role("row", selected=True)).to_have_count(1)
        keys.press("Shift+ArrowDown")
        expect(tab.page.get_by_test_id("selected-count")).to_have_text("2 selected")
        assert tab.violations() == []
        keys.press("Escape")
        keys.press("Home")
        expect(tab.page.get_by_role("link", name=NAMES[4])).to_be_focused()
        keys.press("Enter")
        expect(tab.drawer).to_contain_text(NAMES[4])
        keys.press("Escape")
        expect(tab.drawer).to_have_count(0)
        tab.page.get_by_test_id("group").select_option("label")
        groups = tab.page.get_by_test_id("table-group")
        expect(groups).to_have_text(
            [re.compile(text) for text in ("backend.*2 tasks", "bug.*2", "frontend.*1 task", "No label")]
        )
        expect(tab.page.get_by_test_id("table-row")).to_have_count(6)
        groups.first.get_by_role("button").click()
        expect(tab.page.get_by_test_id("table-row")).to_have_count(4)
        tab.page.reload()
        expect(tab.page.get_by_test_id("table-row")).to_have_count(4)
        groups.first.get_by_role("button").click()
        tab.page.set_viewport_size({"width": 1440, "height": 260})
        assert tab.page.evaluate(SCROLLS) == []
        tab.page.set_viewport_size({"width": 320, "height": 640})
        expect(tab.page.get_by_role("columnheader")).to_have_count(0)
        assert wider(tab) == []
        assert tab.violations() == []


def test_priority_labels_and_name_are_edited_in_the_row(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Refund")
    with dashboard(service, browser) as tab:
        tab.open("/?view=table")
        row = tab.page.get_by_test_id("table-row")
        row.get_by_role("button", name="Priority P2").click()
        expect(tab.dialog).to_be_visible()
        tab.page.keyboard.press("0")
        expect(row.locator(".cell-priority")).to_contain_text("P0")
        row.get_by_role("link", name="Refund").focus()
        tab.page.keyboard.press("F2")
        tab.page.get_by_role("textbox", name="Name of").fill("Refund twice")
        tab.page.keyboard.press("Enter")
        expect(row.get_by_role("link", name="Refund twice")).to_be_focused()
        row.get_by_role("button", name="Labels none").click()
        tab.dialog.get_by_role("combobox").fill("bug")
        tab.page.keyboard.press("Enter")
        expect(row.locator(".cell-labels")).to_contain_text("bug")
        assert client.get_task(task)["priority"] == 0


def test_a_saved_view_is_shared_marked_changed_renamed_and_deleted(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    for labels in (["bug"], []):
        client.create_task(project, "Refund", labels=labels)
    with dashboard(service, browser) as tab, dashboard(service, browser) as other:
        tab.open("/?view=table&label=bug&sort=-name")
        other.open()
        menu = tab.page.get_by_test_id("saved-views")
        menu.click()
        tab.page.get_by_test_id("save-view").fill("Bugs <b>")
        tab.page.keyboard.press("Enter")
        expect(menu).to_have_text("Bugs <b>")
        other.page.keyboard.press("Shift+V")
        expect(other.page.locator("#saved-views :focus")).to_have_count(1)
        line = other.page.get_by_test_id("saved-view")
        expect(line).to_have_text("Bugs <b>")
        assert other.violations() == []
        line.get_by_role("link").click()
        expect(other.page).to_have_url(re.compile(r"view=table&label=bug&sort=-name$"))
        expect(other.page.get_by_test_id("table-row")).to_have_count(1)
        tab.chip("bug").get_by_role("button").click()
        expect(menu).to_have_text(re.compile("Bugs <b>.*changed"))
        menu.click()
        tab.page.get_by_test_id("save-view").fill("BUGS <b>")
        tab.page.keyboard.press("Enter")
        expect(tab.dialog).to_contain_text("Replace the view Bugs <b>")
        tab.page.keyboard.press("Escape")
        expect(menu).to_have_text(re.compile("Bugs <b>.*changed"))
        menu.click()
        tab.page.get_by_test_id("update-view").click()
        expect(menu).not_to_contain_text("changed")
        expect(other.page.get_by_test_id("saved-views")).to_contain_text("changed")
        menu.click()
        tab.page.get_by_role("button", name="Rename the view").click()
        tab.page.get_by_test_id("rename-view").fill("Everything")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_test_id("saved-view")).to_have_text("Everything")
        other.page.keyboard.press("Control+k")
        other.dialog.get_by_role("combobox").fill("everyth")
        expect(other.page.get_by_test_id("palette-entry").first).to_contain_text("Everything")
        other.page.keyboard.press("Enter")
        expect(other.page.get_by_test_id("table-row")).to_have_count(2)
        tab.page.get_by_role("button", name="Delete the view").click()
        expect(other.page.get_by_test_id("saved-views")).to_have_text("Views")
        expect(tab.toast("Deleted the view").get_by_role("button", name="Undo")).to_be_visible()
        tab.page.keyboard.press("Control+z")
        expect(tab.toast("Restored the view")).to_be_visible()
        expect(other.page.get_by_test_id("saved-views")).to_have_text("Everything")


def test_keys_reach_no_hidden_task_and_a_filter_with_a_wrong_value_is_ignored(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    hidden, shown = client.create_task(project, "Refund"), client.create_task(project, "Invoice")
    with dashboard(service, browser) as tab:
        tab.open("/?completed_since=foo&changed=2026-99-99&ready=maybe")
        expect(tab.page.get_by_test_id("shown")).to_have_text("2 tasks")
        tab.card(hidden).focus()
        tab.page.keyboard.press("f")
        expect(tab.page.locator("#filter-panel :focus")).to_have_count(1)
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("/")
        tab.page.keyboard.type("invoice")
        expect(tab.card(hidden)).to_have_count(0)
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("Shift+Delete")
        expect(tab.dialog).to_have_count(0)
        tab.page.keyboard.press("ArrowDown")
        expect(tab.card(shown)).to_be_focused()
