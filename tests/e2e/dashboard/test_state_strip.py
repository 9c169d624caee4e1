"""The state strip below the bar: agents, ready tasks, what waits on a person, and the pace."""

import re

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import resize, wider
from tests.e2e.service import Service


def expect_parts(tab: Dashboard, **words: str) -> None:
    for name, text in words.items():
        expect(tab.page.get_by_test_id(f"strip-{name}")).to_have_text(text, use_inner_text=True)


def starved_fleet(client: RestClient) -> int:
    """Create a project in which one agent works, and the other has nothing to do before a review. Return the review."""
    project = client.create_project("Website")
    client.claim(client.create_task(project, "Paint"), "codex")
    review = client.create_task(project, "Parse")
    client.claim(review, "claude")
    client.set_status(review, "REVIEW", agent_id="claude")
    middle = client.create_task(project, "Print", depends_on=[review])
    client.create_task(project, "Publish", depends_on=[middle, review])
    client.set_status(client.create_task(project, "Measure"), "DONE")
    return review


def test_the_strip_counts_live_and_says_what_a_starved_fleet_waits_for(
    service: Service, browser: Browser, client: RestClient
) -> None:
    review = starved_fleet(client)
    other = client.create_project("Other")
    with dashboard(service, browser) as tab:
        tab.open("/?view=activity")
        expect_parts(
            tab,
            working="1 working",
            idle="1 idle",
            ready="0 ready",
            waiting="1 review holds back 2 tasks",
            pace="1/h",
            advice="1 agent idle while 1 review waits: review it",
        )
        assert tab.violations() == []
        tab.page.get_by_test_id("strip-advice").click()
        expect(tab.page.get_by_test_id("need-review")).to_contain_text("Parse")
        client.set_status(review, "DONE")
        expect_parts(tab, ready="1 ready", waiting="nothing to decide", pace="2/h")
        expect(tab.page.get_by_test_id("strip-advice")).to_have_count(0)
        tab.page.get_by_test_id("strip-ready").click()
        expect(tab.page).to_have_url(re.compile(r"/\?ready=ready$"))
        tab.page.get_by_test_id("filter-project").select_option(str(other))
        expect_parts(tab, working="0 working", idle="1 idle", ready="0 ready", pace="0/h")


def test_the_strip_the_graph_and_the_list_count_the_same_tasks_that_wait_on_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    given_up = client.create_task(project, "Given up")
    review, blocked, failed, unheld = (client.create_task(project, name) for name in ("Parse", "Buy", "Fail", "Hold"))
    cancelled = client.create_task(project, "Stuck", depends_on=[given_up])
    for task in (review, blocked, failed, unheld, cancelled):
        client.create_task(project, f"After #{task}", depends_on=[task])
    for task, status in ((review, "REVIEW"), (blocked, "BLOCKED"), (unheld, "IN_PROGRESS"), (given_up, "CANCELLED")):
        client.set_status(task, status)
    client.send("PATCH", "/api/tasks", {"tasks": [{"id": failed, "attempts": 5}]})
    with dashboard(service, browser) as tab:
        tab.open("/?view=graph")
        nodes = tab.page.get_by_test_id("node")
        expect(nodes.filter(has_text="holds back 1")).to_have_count(5)
        expect(nodes).to_have_count(10)
        expect_parts(tab, waiting="1 review, 1 blocked, 3 stuck hold back 5 tasks")
        expect(tab.page.locator(".badge")).to_have_text("5")
        tab.page.get_by_test_id("strip-waiting").click()
        for group in ("review", "blocked", "attempts", "cancelled", "no-holder"):
            expect(tab.page.get_by_test_id(f"need-{group}").locator("[data-testid=need]")).to_have_count(1)
        client.set_status(unheld, "TODO")
        expect_parts(tab, waiting="1 review, 1 blocked, 2 stuck hold back 4 tasks")
        expect(tab.page.locator(".badge")).to_have_text("4")


def test_the_strip_fits_a_phone(service: Service, browser: Browser, client: RestClient) -> None:
    starved_fleet(client)
    with dashboard(service, browser, color_scheme="dark") as tab:
        tab.open()
        resize(tab, 320)
        expect_parts(tab, pace="1/h", advice="1 agent idle: 1 review holds back 2 tasks")
        assert wider(tab) == []
        assert tab.violations() == []
