"""The list of tasks that need a person: rows keep their place, and each click acts on its target."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.needs_list import button, expect_last_words, needs, review, row
from tests.e2e.service import Service

Start = Callable[..., Service]
INSERT_ABOVE = """(row) => {
    const spacer = document.createElement("div");
    spacer.style.blockSize = `${row.nextElementSibling.offsetTop - row.offsetTop}px`;
    row.before(spacer);
}"""
"""JavaScript that moves a row to the position of the next one."""


THUMB = 44
"""Smallest height in pixels of a button for a thumb."""
HEIGHTS = "(buttons) => buttons.map((button) => button.getBoundingClientRect().height)"
COVERED = """() => {
    const toasts = [...document.querySelectorAll(".toast")].map((toast) => toast.getBoundingClientRect());
    return [...document.querySelectorAll(".need-actions button")].filter((button) => {
        const place = button.getBoundingClientRect();
        return toasts.some((toast) => toast.top < place.bottom && place.top < toast.bottom);
    }).map((button) => button.getAttribute("aria-label"));
}"""
"""JavaScript that returns the buttons of rows that a message covers."""


def names(tab: Dashboard) -> list[str]:
    """Return the names of the rows from top to bottom."""
    return tab.page.get_by_test_id("need").locator(".need-name .clip").all_text_contents()


def point_at(tab: Dashboard, target: Locator) -> None:
    """Move the pointer to the target in several steps, as a hand does."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)


def press(tab: Dashboard) -> None:
    tab.page.mouse.down()
    tab.page.mouse.up()


def leave(tab: Dashboard) -> None:
    tab.page.mouse.move(3, 3, steps=2)


def test_a_click_acts_on_the_row_under_the_pointer_when_new_rows_arrive(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    aimed = review(client, project, "Aimed at")
    with needs(service, browser) as tab:
        expect_last_words(tab, aimed)
        point_at(tab, button(tab, "Accept", aimed))
        urgent = client.create_task(project, "Urgent", priority=0)
        client.create_task(project, "Waits for it", depends_on=[urgent])
        client.set_status(urgent, "REVIEW")
        news = tab.page.get_by_test_id("needs-news")
        expect(news).to_have_text("1 new")
        press(tab)
        expect(row(tab, aimed).get_by_test_id("need-outcome")).to_have_text("Done")
        expect(row(tab, aimed).get_by_role("button")).to_have_count(0)
        assert names(tab) == ["Aimed at"]
        press(tab)
        service.wait_until(lambda: client.get_task(aimed)["status"] == "DONE")
        assert client.get_task(urgent)["status"] == "REVIEW"
        news.click()
        expect(row(tab, urgent)).to_be_visible()
        expect(row(tab, aimed)).to_have_count(0)


def test_a_completed_row_keeps_its_details_and_its_height(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first = client.create_task(project, "First")
    client.claim(first, "codex-3")
    client.release(first, "codex-3", failed=True)
    client.claim(first, "codex-3")
    client.set_status(first, "REVIEW", agent_id="codex-3", note="All of it is done. " * 30)
    second = review(client, project, "Second")
    with needs(service, browser) as tab:
        expect_last_words(tab, first, second)
        expect(row(tab, first).get_by_test_id("attempts")).to_have_text("tried once")
        point_at(tab, button(tab, "Accept", second))
        before = row(tab, second).bounding_box()
        client.set_status(first, "DONE", note="Fine")
        expect(row(tab, first).get_by_test_id("need-outcome")).to_have_text("Done")
        expect(row(tab, first).get_by_test_id("attempts")).to_have_text("tried once")
        expect(row(tab, first).get_by_test_id("latest-log-entry")).to_contain_text("All of it is done.")
        expect(row(tab, first).locator("time").first).to_be_hidden()
        assert row(tab, second).bounding_box() == before


def test_the_buttons_of_all_rows_end_at_the_same_edge(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    short = review(client, project, "Short")
    long = client.create_task(project, "Long")
    client.claim(long, "an-agent-with-a-name-" + "x" * 60)
    client.set_status(long, "REVIEW", force=True, note="Long is done")
    for width in (1440, 900):
        with needs(service, browser, viewport={"width": width, "height": 800}) as tab:
            expect_last_words(tab, short, long)
            ends = []
            for task in (short, long):
                box = button(tab, "Send back", task).bounding_box()
                assert box is not None
                ends.append(round(box["x"] + box["width"]))
            assert ends[0] == ends[1]


def test_the_list_is_refreshed_when_the_pointer_leaves_it(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first, second = review(client, project, "First"), review(client, project, "Second")
    with needs(service, browser) as tab:
        expect_last_words(tab, first, second)
        point_at(tab, button(tab, "Accept", second))
        before = row(tab, second).bounding_box()
        client.set_status(first, "DONE")
        expect(row(tab, first).get_by_test_id("need-outcome")).to_have_text("Done")
        assert row(tab, second).bounding_box() == before
        third = review(client, project, "Third")
        expect(tab.page.get_by_test_id("needs-news")).to_have_text("1 new")
        assert names(tab) == ["First", "Second"]
        leave(tab)
        expect(row(tab, third)).to_be_visible()
        assert names(tab) == ["Second", "Third"]


def test_a_completed_row_that_returns_counts_as_new(service: Service, browser: Browser, client: RestClient) -> None:
    task = review(client, client.create_project(), "Twice")
    with needs(service, browser) as tab:
        expect_last_words(tab, task)
        point_at(tab, button(tab, "Accept", task))
        client.set_status(task, "TODO", note="Not yet")
        expect(row(tab, task).get_by_test_id("need-outcome")).to_have_text("To do")
        client.set_status(task, "REVIEW")
        expect(tab.page.get_by_test_id("needs-news")).to_have_text("1 new")
        press(tab)
        expect(row(tab, task).get_by_role("button")).to_have_count(0)
        leave(tab)
        expect(button(tab, "Accept", task)).to_be_visible()
        assert client.get_task(task)["status"] == "REVIEW"


def test_a_click_does_not_act_on_a_row_that_moved_under_a_resting_pointer(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first, second = review(client, project, "First"), review(client, project, "Second")
    with needs(service, browser) as tab:
        expect_last_words(tab, first, second)
        point_at(tab, button(tab, "Accept", second))
        row(tab, first).evaluate(INSERT_ABOVE)
        press(tab)
        expect(tab.toast("The list changed while you clicked")).to_be_visible()
        assert [client.get_task(task)["status"] for task in (first, second)] == ["REVIEW", "REVIEW"]
        leave(tab)
        point_at(tab, button(tab, "Accept", first))
        press(tab)
        expect(row(tab, first).get_by_test_id("need-outcome")).to_have_text("Done")
        assert client.get_task(second)["status"] == "REVIEW"


def test_a_tap_acts_on_the_list_as_it_is_shown(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    first = review(client, project, "First")
    phone = {"viewport": {"width": 320, "height": 700}, "has_touch": True, "is_mobile": True}
    with needs(service, browser, **phone) as tab:
        expect(button(tab, "Accept", first)).to_be_visible()
        second = client.create_task(project, "Second", priority=0)
        client.create_task(project, "Waits for it", depends_on=[second])
        client.set_status(second, "REVIEW")
        expect(tab.page.get_by_test_id("needs-news")).to_have_text("1 new")
        heights = tab.page.locator(".need-actions button").evaluate_all(HEIGHTS)
        assert heights, "no button"
        assert min(heights) >= THUMB
        button(tab, "Accept", first).tap()
        expect(row(tab, first).get_by_test_id("need-outcome")).to_have_text("Done")
        expect(tab.toast("Accepted #")).to_be_visible()
        tab.page.get_by_test_id("needs-news").tap()
        expect(row(tab, second)).to_be_visible()
        expect(row(tab, first)).to_have_count(0)
        tab.settle()
        assert tab.page.evaluate(COVERED) == []


def test_a_long_list_opens_its_rest_and_the_badge_counts_what_cannot_go_on_without_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    for number in range(51):
        client.create_task(project, f"Late {number}", due_at="2020-03-04T05:06:00Z")
    task = review(client, project, "One", acceptance=["even"])
    with needs(service, browser) as tab:
        expect(tab.page.get_by_test_id("nav-needs").locator(".badge")).to_have_text("1")
        rows = tab.page.get_by_test_id("need-overdue").get_by_test_id("need")
        expect(rows).to_have_count(50)
        tab.page.get_by_role("button", name="and 1 more").click()
        expect(rows).to_have_count(51)
        evidence = row(tab, task).get_by_test_id("need-evidence")
        evidence.get_by_text("Evidence none · 0 of 1 criteria").click()
        expect(evidence.get_by_test_id("criteria")).to_contain_text("even")


def test_a_blocked_task_after_one_failed_attempt_is_not_listed_as_failed_too_often(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Which rounding?")
    client.claim(task, "codex-3")
    client.release(task, "codex-3", failed=True)
    client.claim(task, "codex-3")
    client.set_status(task, "BLOCKED", agent_id="codex-3", note="Half-even or half-up?")
    with needs(service, browser) as tab:
        expect(tab.page.get_by_test_id("need-blocked")).to_contain_text("Half-even or half-up?")
        expect(tab.page.get_by_test_id("need-attempts")).to_have_count(0)
        tab.page.get_by_test_id("need-blocked").locator("button.primary").click()
        expect(tab.dialog).to_contain_text("Half-even or half-up?")
        tab.page.keyboard.press("Escape")
        expect(tab.dialog).to_have_count(0)
        assert client.get_task(task)["status"] == "BLOCKED"


@pytest.mark.parametrize("cap", [2, 0])
def test_a_task_is_listed_as_failed_too_often_at_the_attempt_limit(
    start_service: Start, browser: Browser, cap: int
) -> None:
    service = start_service(MAX_ATTEMPTS=cap)
    client = RestClient(service)
    task = client.create_task(client.create_project(), "Crashes")
    for _ in range(cap or 1):
        client.claim(task, "flaky")
        client.release(task, "flaky", failed=True)
    group = "need-attempts" if cap else "need-lost"
    with needs(service, browser) as tab:
        expect(tab.page.get_by_test_id(group)).to_contain_text("Crashes")
        expect(tab.page.get_by_test_id("need")).to_have_count(1)
        if cap:
            row(tab, task).locator(".need-name").focus()
            tab.page.keyboard.press("a")
            tab.page.get_by_test_id("send-comment").click()
        else:
            button(tab, "Reset attempts", task).click()
        service.wait_until(lambda: client.get_task(task)["attempts"] == 0)


def test_a_row_shows_project_agent_waiting_time_and_number_of_dependents(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Checkout")
    light, heavy = review(client, project, "Light", priority=0), review(client, project, "Heavy")
    client.create_task(project, "Waits", depends_on=[heavy])
    with needs(service, browser) as tab:
        for words in ("Checkout", "codex-3", "waiting under a minute", "holds back 1"):
            expect(row(tab, heavy)).to_contain_text(words)
        expect(row(tab, light)).not_to_contain_text("holds back")
        assert names(tab) == ["Heavy", "Light"]


def test_the_last_report_contains_its_links(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Reported")
    note = "**Done**, see https://example.org/a_(b). The [request](https://example.org/pull/12) waits"
    client.set_status(task, "REVIEW", note=note)
    with needs(service, browser) as tab:
        word = row(tab, task).get_by_test_id("latest-log-entry")
        expect(word).to_contain_text("Done, see https://example.org/a_(b). The request waits")
        links = word.locator("a")
        expect(links).to_have_count(2)
        expect(links.first).to_have_attribute("href", "https://example.org/a_(b)")
        expect(links.last).to_have_attribute("href", "https://example.org/pull/12")
        expect(links.last).to_have_attribute("rel", "noopener noreferrer nofollow")


def is_within_a_week(due: str) -> bool:
    return timedelta(0) < datetime.fromisoformat(due) - datetime.now(UTC) <= timedelta(weeks=1)


def test_an_overdue_task_shows_its_date_and_can_be_postponed(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Late", due_at="2020-03-04T05:06:00Z")
    with needs(service, browser, timezone_id="UTC", locale="en-GB") as tab:
        expect(row(tab, task).get_by_test_id("due")).to_have_text("due 4 Mar 2020, 05:06")
        button(tab, "Postpone by a week", task).click()
        service.wait_until(lambda: is_within_a_week(client.get_task(task)["due_at"]))
        assert client.get_task(task)["due_at"].endswith("T05:06:00.000Z")


def test_a_task_that_depends_on_a_cancelled_task_needs_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    cancelled, kept = client.create_task(project, "Given up"), client.create_task(project, "Kept")
    task = client.create_task(project, "Stuck behind it", depends_on=[cancelled, kept])
    with needs(service, browser) as tab:
        expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()
        client.set_status(cancelled, "CANCELLED")
        group = tab.page.get_by_test_id("need-cancelled")
        expect(group).to_contain_text(f"waits for #{cancelled}, cancelled")
        row(tab, task).locator(".need-name").focus()
        tab.page.keyboard.press("a")
        expect(row(tab, task).get_by_role("button")).to_have_count(0)
        service.wait_until(lambda: client.get_task(task)["depends_on"] == [kept])


def test_a_task_does_not_wait_for_cancelled_work_that_was_done_while_the_page_was_offline(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    cancelled = client.create_task(project, "Given up")
    client.create_task(project, "Stuck behind it", depends_on=[cancelled])
    client.set_status(cancelled, "CANCELLED")
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        group = tab.page.get_by_test_id("need-cancelled")
        expect(group).to_be_visible()
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")
        client.set_status(cancelled, "TODO", reopen=True)
        client.set_status(cancelled, "DONE")
        tab.context.set_offline(False)  # the events arrive together
        expect(group).to_have_count(0)


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}])
def test_the_list_and_its_dialog_meet_wcag(
    service: Service, browser: Browser, client: RestClient, options: dict[str, object]
) -> None:
    project = client.create_project("A project with a name that is long enough to be cut somewhere")
    tasks = [review(client, project, name) for name in ("One", "Two https://example.org/" + "x" * 80)]
    client.set_status(client.create_task(project, "Late", due_at="2020-03-04T05:06:00Z"), "IN_PROGRESS")
    with needs(service, browser, **options) as tab:
        expect_last_words(tab, *tasks)
        point_at(tab, button(tab, "Accept", tasks[0]))
        press(tab)
        expect(row(tab, tasks[0]).get_by_test_id("need-outcome")).to_be_visible()
        expect(tab.toast("Accepted #")).to_be_visible()
        review(client, project, "Three")
        expect(tab.page.get_by_test_id("needs-news")).to_be_visible()
        assert tab.violations() == []
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        button(tab, "Send back", tasks[1]).click()
        tab.page.keyboard.press("Enter")
        expect(tab.dialog.get_by_role("alert")).to_be_visible()
        assert tab.violations() == []
