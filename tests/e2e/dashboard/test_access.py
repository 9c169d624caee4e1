"""Accessibility of the dashboard: keyboard, screen reader, phone and dark mode."""

import re

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.flow_server import FlowServer
from tests.e2e.dashboard.layout import resize
from tests.e2e.dashboard.pages import views_with
from tests.e2e.service import Service

HOLDER = "claude-7"
PHONE = {"viewport": {"width": 320, "height": 640}}


def create_plan(client: RestClient) -> int:
    """Create a project with a task of every kind. Return the id of the first task, which is claimed and has a log."""
    project = client.create_project("Checkout", description="Move the shop to the new payment service.")
    epic = client.create_epic(project, "Payments")
    held = client.create_task(
        project,
        "Hosted card fields",
        epic_id=epic,
        priority=0,
        labels=["pci", "frontend"],
        acceptance=["Tests pass"],
        description="# Plan\n\n- [x] sandbox\n- [ ] `webhooks`\n\n```\ncode\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    )
    client.claim(held, HOLDER, 3000)
    client.add_log(held, "Half **done**", agent_id=HOLDER)
    client.create_task(project, "Refunds", depends_on=[held], epic_id=epic)
    ready = client.create_task(project, "Ready one", due_at="2020-01-01T00:00:00Z")
    client.create_task(project, "Later", defer_until="2099-01-01T00:00:00Z", conflicts_with=[ready])
    for status in ("BACKLOG", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "IN_PROGRESS"):
        task = client.create_task(project, f"Is {status.lower()}")
        client.set_status(task, status) if status != "REVIEW" else client.set_status(task, status, note="Please look")
    return held


@pytest.fixture(scope="module")
def plan(shared_client: RestClient) -> int:
    return create_plan(shared_client)


def sideways(tab: Dashboard) -> list[str]:
    """Return the elements that make the page scroll in two directions."""
    found: list[str] = tab.page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll('main, .drawer, .drawer-body')]
            .filter((element) => element.scrollWidth > element.clientWidth + 1)
            .map((element) => `${element.tagName}.${element.className} ${element.scrollWidth}`)"""
    )
    return found


@pytest.mark.parametrize(("scheme", "widths"), [("light", (1440, 768)), ("light", (320,)), ("dark", (320, 1440))])
def test_every_view_meets_wcag_and_fits_its_screen(
    shared: Service, browser: Browser, plan: int, scheme: str, widths: tuple[int, ...]
) -> None:
    size = {"width": widths[0], "height": 800}
    with dashboard(shared, browser, color_scheme=scheme, viewport=size, reduced_motion="reduce") as tab:
        FlowServer().attach(tab.page)
        for view in views_with(plan, HOLDER):
            resize(tab, widths[0])
            view.open(tab)
            for width in widths:
                resize(tab, width)
                assert (view.name, width, tab.violations(), sideways(tab)) == (view.name, width, [], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_dialog_meets_wcag(shared: Service, browser: Browser, plan: int, scheme: str) -> None:
    with dashboard(shared, browser, color_scheme=scheme, reduced_motion="reduce") as tab:
        tab.open(f"/?task={plan}")
        for key in ("?", "c", "e", "Control+k", "m", "Shift+Delete"):
            tab.page.locator(".drawer").focus()
            tab.page.keyboard.press(key)
            expect(tab.dialog).to_be_visible()
            assert (key, tab.violations()) == (key, [])
            tab.page.keyboard.press("Escape")
            expect(tab.dialog).to_have_count(0)


def test_enter_opens_the_last_focused_card_after_it_loses_the_focus(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "At hand")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.keyboard.press("j")
        expect(tab.card(task)).to_be_focused()
        tab.page.evaluate("document.activeElement.blur()")
        tab.page.keyboard.press("Enter")
        expect(tab.drawer).to_be_focused()


def test_a_task_is_found_opened_moved_and_closed_without_a_mouse(
    service: Service, browser: Browser, client: RestClient
) -> None:
    create_plan(client)
    with dashboard(service, browser) as tab:
        tab.open()
        keys = tab.page.keyboard
        keys.press("/")
        keys.type("ready one")
        expect(tab.page.get_by_test_id("shown")).to_contain_text("1 of")
        keys.press("Escape")
        keys.press("j")
        card = tab.page.get_by_test_id("card")
        expect(card).to_be_focused()
        task = int(card.get_attribute("data-task") or 0)
        keys.press("Shift+ArrowRight")
        expect(tab.card_in("IN_PROGRESS", task)).to_be_focused()
        keys.press("m")
        keys.type("revi")
        keys.press("Enter")
        expect(tab.card_in("REVIEW", task)).to_be_focused()
        keys.press("Enter")
        expect(tab.drawer).to_be_focused()
        keys.press("Escape")
        expect(tab.drawer).to_have_count(0)
        expect(tab.card_in("REVIEW", task)).to_be_focused()
        expect(tab.toast("to Review")).to_be_visible()
        assert client.get_task(task)["status"] == "REVIEW"


def test_arrow_keys_move_the_focus_between_cards(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    top, below = client.create_task(project, "Top", priority=0), client.create_task(project, "Below", priority=1)
    beside = client.create_task(project, "Beside")
    client.set_status(beside, "REVIEW")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.card(top).focus()
        for key, task in (("ArrowDown", below), ("k", top), ("ArrowRight", beside), ("h", top), ("End", below)):
            tab.page.keyboard.press(key)
            expect(tab.card(task)).to_be_focused()


def test_the_palette_finds_commands_tasks_and_views(shared: Service, browser: Browser, plan: int) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        for typed, address in (
            ("depend", "view=graph"),
            (f"#{plan}", f"task={plan}"),
            ("payments", "epic="),
            ("claude", "agent=claude-7"),
        ):
            tab.page.keyboard.press("Control+k")
            expect(tab.page.get_by_test_id("palette")).to_be_visible()
            tab.page.keyboard.type(typed)
            expect(tab.page.get_by_test_id("palette-entry").first).to_contain_text(re.compile(typed, re.IGNORECASE))
            tab.page.keyboard.press("Enter")
            expect(tab.page).to_have_url(re.compile(re.escape(address)))
            tab.open("/?view=agents")


def test_the_palette_finds_an_agent_before_any_view_shows_it_without_blocking(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Done with it")
    client.claim(task, "quiet-otter")
    client.set_status(task, "DONE", agent_id="quiet-otter")
    waiting: list[Route] = []
    with dashboard(service, browser) as tab:
        tab.page.route("**/api/agents?*", lambda route: waiting.append(route))
        tab.open()
        with tab.page.expect_request("**/api/agents?*") as asked:
            tab.page.keyboard.press("Control+k")
        assert "limit=" in asked.value.url
        tab.page.keyboard.type("done with")
        entry = tab.page.get_by_test_id("palette-entry")
        expect(entry.first).to_contain_text("Done with it")
        tab.page.get_by_test_id("palette").get_by_role("combobox").fill("otter")
        expect(entry).to_have_count(0)
        waiting.pop().continue_()
        expect(entry).to_contain_text("quiet-otter")
        expect(entry).to_contain_text("Agent")
        tab.page.keyboard.press("Enter")
        expect(tab.page).to_have_url(re.compile("agent=quiet-otter"))


def test_a_palette_with_a_choice_list_does_not_request_the_agents(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Move me")
    asked: list[str] = []
    with dashboard(service, browser) as tab:
        tab.page.on("request", lambda request: asked.append(request.url) if "/api/agents" in request.url else None)
        tab.open()
        expect(tab.page.get_by_test_id("strip-idle")).to_be_visible()
        asked.clear()
        tab.card(task).focus()
        tab.page.keyboard.press("m")
        expect(tab.page.get_by_test_id("palette-entry").first).to_be_visible()
        assert tab.page.evaluate("fetch('/healthz').then((answer) => answer.ok)")
        assert [url for url in asked if "seen_since" not in url] == []


def test_single_letters_can_be_switched_off(shared: Service, browser: Browser, plan: int) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        tab.page.keyboard.press("?")
        tab.dialog.get_by_label("Single-letter shortcuts").uncheck()
        tab.page.keyboard.press("Escape")
        expect(tab.dialog).to_have_count(0)
        tab.page.keyboard.press("c")
        tab.page.keyboard.press("Control+k")
        expect(tab.dialog).to_have_count(1)
        expect(tab.page.get_by_test_id("palette")).to_be_visible()


def test_the_theme_is_chosen_and_remembered(shared: Service, browser: Browser, plan: int) -> None:
    with dashboard(shared, browser, color_scheme="light") as tab:
        tab.open()
        root = tab.page.locator("html")
        tab.page.get_by_test_id("theme").click()
        tab.page.get_by_test_id("theme").click()
        expect(root).to_have_attribute("data-theme", "dark")
        tab.page.reload()
        expect(root).to_have_attribute("data-theme", "dark")


def test_a_phone_shows_one_column_and_the_whole_task(service: Service, browser: Browser, client: RestClient) -> None:
    create_plan(client)
    with dashboard(service, browser, **PHONE, has_touch=True) as tab:
        tab.open()
        expect(tab.column("TODO")).to_be_visible()
        expect(tab.column("REVIEW")).to_be_hidden()
        columns = tab.page.get_by_role("group", name="Column")
        columns.get_by_role("button", name="Review").dispatch_event("click")
        expect(tab.column("REVIEW")).to_be_visible()
        expect(columns.get_by_role("button", name="Review")).to_be_in_viewport(ratio=1)
        tab.page.get_by_test_id("nav-needs").tap()
        tab.page.get_by_role("button", name="Accept").tap()
        expect(tab.page.get_by_test_id("need-review").get_by_test_id("need-outcome")).to_have_text("Done")
        expect(tab.toast("to Done")).to_be_visible()


def test_a_click_on_a_graph_that_is_too_small_to_use_zooms_in_at_that_point(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    root = client.create_task(project, "Root")
    tasks = [{"name": f"Leaf {number}", "depends_on": [str(root)]} for number in range(120)]
    client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    with dashboard(service, browser) as tab:
        tab.open("/?view=graph")
        node = tab.page.get_by_test_id("node")
        expect(node).to_have_count(121)
        assert tab.violations() == []
        tab.page.get_by_role("button", name="Fit").click()
        expect(tab.page.locator("a.node")).to_have_count(0)
        assert tab.violations() == []
        area = tab.page.get_by_test_id("graph").bounding_box()
        assert area
        tab.page.mouse.click(area["x"] + area["width"] / 2, area["y"] + 20)
        expect(tab.page.locator("a.node")).to_have_count(121)
        expect(tab.drawer).to_have_count(0)
        assert tab.violations() == []
        tab.page.locator("a.node").filter(has_text="Leaf 3").first.focus()
        tab.page.keyboard.press("Enter")
        expect(tab.drawer).to_contain_text("Leaf 3")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 320)])
def test_the_api_reference_meets_wcag(shared: Service, browser: Browser, scheme: str, width: int) -> None:
    with dashboard(shared, browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as tab:
        # The first page view waits until the server has rendered the page, which uses the processor.
        tab.page.goto(f"{shared.url}/docs", timeout=20_000)
        headings = tab.page.get_by_role("heading")
        expect(headings.first).to_contain_text("Project Manager API")
        expect(headings.first).to_have_js_property("tagName", "H1")
        assert tab.violations() == []


def test_an_unknown_address_links_a_browser_to_the_dashboard_and_returns_json_to_a_program(
    shared: Service, browser: Browser, plan: int
) -> None:
    with dashboard(shared, browser, color_scheme="dark") as tab:
        answer = tab.page.goto(f"{shared.url}/board/<b>7</b>")
        assert answer
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        expect(tab.page.get_by_role("heading")).to_have_text("/board/<b>7</b> not found")
        assert tab.violations() == []
        tab.page.get_by_role("link", name="Open the dashboard").click()
        tab.expect_status("live")
    with shared.http() as program:
        for path in ("/board", "/api/nothing"):
            assert program.get(path).json()["code"] == "route_not_found"
        assert program.get("/api/nothing", headers={"Accept": "text/html"}).json()["code"] == "route_not_found"


def test_every_view_has_one_main_heading(shared: Service, browser: Browser, plan: int) -> None:
    views = views_with(plan, HOLDER)
    with dashboard(shared, browser) as tab:
        FlowServer().attach(tab.page)
        for view in views:
            view.open(tab)
            expect(tab.page.get_by_role("heading", level=1)).to_have_text(re.compile(f"^{view.heading}"))
        listed = tab.page.locator(".nav a").evaluate_all("(links) => links.map((link) => link.dataset.testid)")
        assert {*listed} <= {f"nav-{view.name}" for view in views}
        tab.open("/?epic=777")
        expect(tab.page.get_by_role("heading", level=1)).to_have_text("Epic not found")


def test_the_graph_is_navigable_by_keyboard(shared: Service, browser: Browser, plan: int) -> None:
    with dashboard(shared, browser) as tab:
        tab.open("/?view=graph")
        graph = tab.page.get_by_test_id("graph")
        before = graph.get_attribute("viewBox")
        graph.focus()
        tab.page.keyboard.press("ArrowRight")
        expect(graph).not_to_have_attribute("viewBox", before or "")
        tab.page.keyboard.press("Tab")
        expect(tab.page.get_by_test_id("node").first).to_be_focused()
        tab.page.keyboard.press("Enter")
        expect(tab.drawer).to_be_visible()
