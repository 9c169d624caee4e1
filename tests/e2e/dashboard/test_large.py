"""Large boards: one that is too large for one response is read in pages, and only the visible cards are rendered."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from project_manager.domain import errors
from project_manager.web.errors import response_of, status_of
from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service

CRITERIA = ["😀" * 200] * 64
"""The most data a task may have in fields that the board does not shorten: 51,200 bytes."""
TASKS = 660


WATCH_CARDS = """() => {
    window.changedCards = new Set();
    const watch = (changes) => {
        for (const { target } of changes) if (target.dataset.task) changedCards.add(target.dataset.task);
    };
    const options = { subtree: true, attributes: true, attributeFilter: ["class"] };
    new MutationObserver(watch).observe(document.querySelector(".board"), options);
}"""
"""Collect the cards with a changed class."""


@pytest.fixture
def crowd(service: Service, client: RestClient) -> int:
    """Create a project with more than 32 MB of tasks, numbered from 1. The last task has a long description."""
    project = client.create_project()
    for first in range(1, TASKS, 20):
        tasks = [{"name": f"Task {number}", "acceptance": CRITERIA} for number in range(first, first + 20)]
        client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    client.send("PATCH", f"/api/tasks/{TASKS}", {"description": "And so on. " * 100 + "It ends with zanzibar."})
    with service.http() as http:
        refusal = http.get("/api/board/state")
    assert (refusal.status_code, refusal.json()["code"]) == (413, "response_too_large")
    return project


def test_a_board_too_large_for_one_response_is_read_in_pages_without_gaps(
    service: Service, browser: Browser, client: RestClient, crowd: int
) -> None:
    pages: list[Route] = []

    def hold_the_second(route: Route) -> None:
        pages.append(route)
        if len(pages) > 1:
            route.continue_()

    with dashboard(service, browser) as tab:
        tab.page.route(re.compile("/api/tasks.*cursor="), hold_the_second)
        with tab.page.expect_request(re.compile("/api/tasks.*cursor=")):
            tab.page.goto(service.url)
        expect(tab.page.get_by_test_id("loading")).to_contain_text(f"of {TASKS} tasks")
        tab.expect_status("connecting")
        client.claim(1, "claude-7")
        client.send("DELETE", "/api/tasks/2")
        late = client.create_task(client.create_project("Later"), "Made meanwhile")
        pages[0].continue_()
        tab.expect_status("live")
        expect(tab.page.get_by_test_id("loading")).to_have_count(0)
        expect(tab.card_in("IN_PROGRESS", 1)).to_contain_text("claude-7")
        expect(tab.column("TODO").get_by_test_id("count")).to_have_text(str(TASKS - 1))
        expect(tab.card(2)).to_have_count(0)
        tab.page.get_by_test_id("search").fill("made meanwhile")
        expect(tab.card_in("TODO", late)).to_contain_text("Ready")
        tab.page.get_by_test_id("search").fill("zanzibar")
        expect(tab.card(TASKS)).to_be_visible()
        client.claim(TASKS, "codex-2")
        expect(tab.card_in("IN_PROGRESS", TASKS)).to_contain_text("codex-2")
        tab.card(TASKS).click()
        expect(tab.drawer).to_contain_text("It ends with zanzibar.")


def test_any_other_board_error_is_shown_and_no_pages_are_requested(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_task(client.create_project(), "Out of sight")
    refusal = errors.BodyTooLarge("the board was refused")
    read: list[str] = []
    with dashboard(service, browser) as tab:
        tab.page.on("request", lambda request: read.append(request.url) if "/api/tasks" in request.url else None)
        tab.page.route(
            "**/api/board/state",
            lambda route: route.fulfill(status=status_of(refusal), body=bytes(response_of(refusal, "r-1").body)),
        )
        tab.page.goto(service.url)
        expect(tab.page.get_by_test_id("failure")).to_contain_text("the board was refused")
        assert read == []


def test_ten_thousand_tasks_are_rendered_as_a_few_cards(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    for start in range(0, 10_000, 500):
        tasks = [
            {"name": f"Task {number}", "labels": ["even"] * (1 - number % 2)} for number in range(start, start + 500)
        ]
        client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.column("TODO").get_by_test_id("count")).to_have_text("10,000")
        assert tab.page.get_by_test_id("card").count() < 40
        tab.page.get_by_test_id("card").first.focus()
        tab.page.keyboard.press("End")
        expect(tab.card(10_000)).to_be_focused()
        assert tab.page.get_by_test_id("card").count() < 40
        tab.page.keyboard.press("Control+a")
        expect(tab.page.get_by_test_id("selection-status")).to_have_text("10,000 tasks selected")
        expect(tab.page.get_by_test_id("too-many")).to_contain_text("At most 500 tasks")
        tab.page.evaluate(WATCH_CARDS)
        tab.page.keyboard.press("x")
        expect(tab.page.get_by_test_id("selection-status")).to_have_text("9,999 tasks selected")
        assert tab.page.evaluate("[...changedCards]") == ["10000"]
        tab.page.get_by_role("button", name="Keep 500").click()
        expect(tab.page.get_by_test_id("selection-status")).to_have_text("500 tasks selected")
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("t")
        tab.page.get_by_test_id("sort-name").click()
        expect(tab.page.get_by_test_id("table-row").first).to_contain_text("Task 0")
        tab.page.get_by_role("link", name="Task 0", exact=True).focus()
        tab.page.keyboard.press("End")
        expect(tab.page.get_by_role("link", name="Task 9999", exact=True)).to_be_focused()
        assert tab.page.get_by_test_id("table-row").count() < 60
        tab.page.get_by_test_id("nav-board").click()
        tab.filter_by("label", "even")
        expect(tab.page.get_by_test_id("shown")).to_have_text("5,000 of 10,000 tasks")
        tab.page.get_by_test_id("search").fill("task 9998")
        expect(tab.page.get_by_test_id("shown")).to_have_text("1 of 10,000 tasks")
        client.claim(9999, "claude-7")
        expect(tab.card_in("IN_PROGRESS", 9999)).to_be_visible()


UNDO = """async () => {
    const page = document.querySelector('script[type=module]').src;
    const { recordAct, undoLast } = await import(new URL('state/undo.js', page));
    const items = [...Array(1100).keys()].map((id) => [id + 1, { id: id + 1, version: 2, status: 'TODO' }]);
    recordAct({ name: 'Moved', items: new Map(items), before: new Map() });
    await undoLast();
    await undoLast();
}"""
"""Undo an act on 1,100 tasks, twice, because the second request fails."""
LINES = """async () => {
    const page = document.querySelector('script[type=module]').src;
    const { keepLines, lineOf } = await import(new URL('state/log_lines.js', page));
    keepLines([...Array(5200).keys()].map((id) => ({ id: id + 1, line: `line ${id + 1}` })));
    return [1, 200, 201, 5200].map((id) => lineOf({ type: 'task.logged', log_id: id }));
}"""


def agent(name: str, now: str, *, waiting: bool = False) -> dict[str, object]:
    seen = {"first_seen": now, "last_seen": now}
    return {"id": name, "kind": "agent", **seen, "locks": [], "waiting": waiting}


def test_more_agents_lines_and_undone_tasks_than_one_request_takes_are_not_lost(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_task(client.create_project(), "Paint")
    undone: list[list[int]] = []

    def list_agents(route: Route) -> None:
        now = client.send("GET", "/api/tasks/1")["created_at"]
        first = [agent(f"codex-{number}", now) for number in range(500)]
        is_second = "cursor=" in route.request.url
        items = [agent("late", now, waiting=True)] if is_second else first
        route.fulfill(json={"items": items, "next_cursor": None if is_second else "second", "total": 501})

    def undo(route: Route) -> None:
        sent: Any = json.loads(route.request.post_data or "")
        ids = [task["id"] for task in sent["tasks"]]
        undone.append(ids)
        if len(undone) == 2:
            route.fulfill(status=422, json={"code": "invalid", "message": "not now"})
            return
        none: dict[str, object] = {"changed_since": [], "refused": [], "refused_total": 0, "undo": None}
        route.fulfill(json={"changed": len(ids), **none})

    with dashboard(service, browser) as tab:
        tab.page.route(re.compile(r"/api/agents\?"), list_agents)
        tab.page.route(re.compile("/api/tasks$"), undo)
        tab.open()
        expect(tab.page.get_by_test_id("strip-idle")).to_have_text("501 idle")
        assert tab.page.evaluate(LINES) == ["", "", "line 201", "line 5200"]
        tab.page.evaluate(UNDO)
        expect(tab.toast("600 changes undone")).to_be_visible()
    assert [(ids[0], len(ids)) for ids in undone] == [(1, 500), (501, 500), (501, 500), (1001, 100)]
