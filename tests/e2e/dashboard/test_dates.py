"""A due date without a time is the same day for readers in every time zone."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

# West of Greenwich, east of it, and fourteen hours ahead.
ZONES = ("America/Los_Angeles", "Asia/Tokyo", "Pacific/Kiritimati")
DAY = "2099-12-01T00:00:00Z"
# Midnight in each time zone at the end of 1 December 2026, in UTC.
ENDS = {
    "America/Los_Angeles": "2026-12-02T08:00:00Z",
    "Asia/Tokyo": "2026-12-01T15:00:00Z",
    "Pacific/Kiritimati": "2026-12-01T10:00:00Z",
}
# The results of `core/due.js` of the page at a given time.
JUDGED = """async ([due, at]) => {
    const page = document.querySelector('script[type="module"]').src;
    const { isPast, dueRelative } = await import(new URL('core/due.js', page));
    return [isPast(due, Date.parse(at)), dueRelative(due, Date.parse(at))];
}"""

AGO = """async (seconds) => {
    const page = document.querySelector('script[type="module"]').src;
    const { relative } = await import(new URL('core/format.js', page));
    const now = Date.parse("2026-06-15T12:00:00Z");
    return seconds.map((before) => relative(new Date(now - before * 1000).toISOString(), now));
}"""


@pytest.fixture(scope="module")
def due(shared_client: RestClient) -> int:
    """Create a task that is due on a day, after a change from the day after. A second task is one day overdue."""
    project = shared_client.create_project()
    task = shared_client.create_task(project, "Due on a day", due_at="2099-12-02T00:00:00Z")
    shared_client.send("PATCH", f"/api/tasks/{task}", {"due_at": DAY})
    shared_client.create_task(project, "Overdue", due_at="2020-03-01T00:00:00.000Z")
    return task


def local(service: Service, browser: Browser, zone: str) -> Any:
    return dashboard(service, browser, locale="en-GB", timezone_id=zone)


def fact(tab: Dashboard, name: str) -> Locator:
    return tab.drawer.locator(".facts > div").filter(has=tab.page.get_by_text(name, exact=True)).locator("dd")


@pytest.mark.parametrize("zone", ZONES)
def test_a_due_day_is_shown_as_the_same_day_everywhere(shared: Service, browser: Browser, due: int, zone: str) -> None:
    with local(shared, browser, zone) as tab:
        tab.open(f"/?task={due}")
        expect(tab.card(due)).to_contain_text("due 1 Dec 2099")
        expect(fact(tab, "Due")).to_have_text("1 Dec 2099")
        expect(fact(tab, "Due").locator("time")).to_have_attribute("title", "1 Dec 2099")
        expect(fact(tab, "Due").locator("time")).to_have_attribute("datetime", "2099-12-01")
        tab.page.get_by_role("tab", name="History").click()
        tab.page.get_by_test_id("event").first.get_by_role("button", name="Fields of this event").click()
        expect(tab.page.locator(".event-fields")).to_contain_text("2 Dec 2099 → 1 Dec 2099")
        tab.page.get_by_test_id("edit").click()
        expect(tab.dialog.get_by_label("Due", exact=True)).to_have_value("2099-12-01")
        expect(tab.dialog.get_by_label("Due time")).to_have_value("")
        tab.page.keyboard.press("Escape")
        tab.open("/")
        expect(tab.card(due + 1)).to_contain_text("overdue, 1 Mar 2020")
        tab.open("/?view=needs")
        expect(tab.page.get_by_test_id("need-overdue")).to_contain_text("Overdue")


@pytest.mark.parametrize("zone", ZONES)
def test_a_due_day_is_past_when_the_local_day_of_the_reader_ends(
    shared: Service, browser: Browser, due: int, zone: str
) -> None:
    day = "2026-12-01T00:00:00.000Z"
    end = ENDS[zone]
    with local(shared, browser, zone) as tab:
        tab.open()
        for at, judged in (
            (end.replace("00:00Z", "00:00.001Z"), [True, "yesterday"]),
            (end, [True, "yesterday"]),
            (end.replace("12-02T08", "12-02T07").replace("T15", "T14").replace("T10", "T09"), [False, "today"]),
            ("2026-11-30T11:00:00Z", [False, "tomorrow" if zone != "Pacific/Kiritimati" else "today"]),
            ("2026-11-28T12:00:00Z", [False, "in 3 d" if zone != "Pacific/Kiritimati" else "in 2 d"]),
            ("2026-12-05T12:00:00Z", [True, "4 d ago" if zone != "Pacific/Kiritimati" else "5 d ago"]),
            ("2026-10-01T12:00:00Z", [False, "1 Dec"]),
        ):
            assert (at, tab.page.evaluate(JUDGED, [day, at])) == (at, judged)


def test_a_due_date_with_a_time_is_an_exact_time(shared: Service, browser: Browser, due: int) -> None:
    moment = "2026-12-01T00:00:00.001Z"
    with local(shared, browser, "America/Los_Angeles") as tab:
        tab.open()
        assert tab.page.evaluate(JUDGED, [moment, "2026-11-30T22:00:00Z"]) == [False, "in 2 h"]
        assert tab.page.evaluate(JUDGED, [moment, "2026-12-01T02:00:00Z"]) == [True, "2 h ago"]


@pytest.mark.parametrize(
    ("zone", "time", "stored"),
    [
        ("America/Los_Angeles", "", "2099-12-01T00:00:00.000Z"),
        ("Pacific/Kiritimati", "", "2099-12-01T00:00:00.000Z"),
        ("America/Los_Angeles", "10:30", "2099-12-01T18:30:00.000Z"),
        # A time that happens to be midnight UTC: the extra millisecond distinguishes it from a day.
        ("Asia/Tokyo", "09:00", "2099-12-01T00:00:00.001Z"),
    ],
)
def test_a_typed_due_date_is_stored_and_shown_again_unchanged(
    service: Service, browser: Browser, client: RestClient, zone: str, time: str, stored: str
) -> None:
    task = client.create_task(client.create_project(), "When")
    with local(service, browser, zone) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        expect(tab.dialog.get_by_label("Due time")).to_be_disabled()
        tab.dialog.get_by_label("Due", exact=True).fill("2099-12-01")
        tab.dialog.get_by_label("Due time").fill(time)
        tab.page.get_by_test_id("save").click()
        expect(fact(tab, "Due")).to_have_text("1 Dec 2099")
        assert client.get_task(task)["due_at"] == stored
        tab.page.get_by_test_id("edit").click()
        expect(tab.dialog.get_by_label("Due", exact=True)).to_have_value("2099-12-01")
        expect(tab.dialog.get_by_label("Due time")).to_have_value(time)
        tab.dialog.get_by_label("Name").fill("Whenever")
        tab.page.get_by_test_id("save").click()
        expect(tab.drawer).to_contain_text("Whenever")
        assert client.get_task(task)["due_at"] == stored
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Due", exact=True).fill("")
        tab.page.get_by_test_id("save").click()
        expect(fact(tab, "Due")).to_have_count(0)
    assert client.get_task(task)["due_at"] is None


def test_a_day_that_another_user_set_in_the_meantime_is_shown_as_a_day(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Shared")
    with local(service, browser, "America/Los_Angeles") as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        client.send("PATCH", f"/api/tasks/{task}", {"due_at": DAY})
        tab.dialog.get_by_label("Name").fill("Shared by two")
        tab.page.get_by_test_id("save").click()
        expect(tab.dialog.get_by_test_id("form-error")).to_contain_text("Due is now: 1 Dec 2099")


def test_a_relative_time_is_rounded_to_its_largest_suitable_unit(shared: Service, browser: Browser) -> None:
    minute, hour, day = 60, 3600, 86400
    ages = [44, 50, 59 * minute + 20, 59 * minute + 40, 90 * minute, 23 * hour + 50 * minute, 2 * day]
    with dashboard(shared, browser) as tab:
        tab.open()
        assert tab.page.evaluate(AGO, ages) == [
            "just now",
            "1 min ago",
            "59 min ago",
            "1 h ago",
            "2 h ago",
            "1 d ago",
            "2 d ago",
        ]


@pytest.mark.parametrize(
    ("label", "typed", "more"),
    [("Due", "20999-12-01", {"Due time": "10:30"}), ("Not before", "20999-12-01T10:30", {})],
    ids=["due", "defer"],
)
def test_a_mistyped_year_is_reported_at_its_field_and_can_be_corrected(
    service: Service, browser: Browser, client: RestClient, label: str, typed: str, more: dict[str, str]
) -> None:
    task = client.create_task(client.create_project(), "When")
    with local(service, browser, ZONES[0]) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        for name, value in {label: typed, **more}.items():
            tab.dialog.get_by_label(name, exact=True).fill(value)
        tab.page.get_by_test_id("save").click()
        field = tab.dialog.get_by_label(label, exact=True)
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill(typed.replace("20999", "2099"))
        tab.page.get_by_test_id("save").click()
        expect(tab.dialog).to_have_count(0)
        expect(fact(tab, label)).to_have_text("1 Dec 2099")
