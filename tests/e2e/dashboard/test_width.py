"""No element is wider than the window, with names of any length."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.flow_server import FlowServer
from tests.e2e.dashboard.layout import FONTS, collisions, letters, resize, wider
from tests.e2e.dashboard.pages import views_with
from tests.e2e.service import Service

WIDTHS = (320, 375, 1280)
EPIC = "An epic whose name goes on and on for quite a while, because nobody stopped it"
HOLDER = "agent-" + "h" * 100


@pytest.fixture(scope="module")
def nasty(shared_client: RestClient) -> int:
    """Create names of a hundred characters without a space everywhere. Return the claimed task that has all of them."""
    project = shared_client.create_project("P" * 100, description="d" * 300)
    epic, endless = shared_client.create_epic(project, EPIC), shared_client.create_epic(project, "E" * 100)
    task = shared_client.create_task(
        project,
        "N" * 100,
        epic_id=epic,
        priority=0,
        labels=["l" * 64, "m" * 64, "frontend"],
        external_key="k" * 100,
        acceptance=["a" * 200],
        description=f"{'w' * 300}\n\n`{'c' * 200}`\n\n- {'i' * 200}\n\n| a | b |\n|---|---|\n| {'t' * 200} | 1 |",
        due_at="2020-01-01T00:00:00Z",
        estimate_minutes=90,
    )
    shared_client.claim(task, HOLDER, 3000)
    shared_client.add_log(task, "b" * 300, agent_id=HOLDER)
    below = shared_client.create_task(project, "S" * 100, depends_on=[task], epic_id=endless)
    shared_client.create_task(project, "Third", depends_on=[below], conflicts_with=[task], epic_id=epic)
    for status in ("BACKLOG", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "IN_PROGRESS"):
        other = shared_client.create_task(project, status.lower() + "x" * 90, epic_id=epic)
        shared_client.set_status(other, status, note="q" * 200)
    shared_client.create_task(shared_client.create_project("Q" * 100), "Of another project", labels=["l" * 64])
    return task


@pytest.mark.parametrize("widths", [(320, 375), (1280, 768)])
def test_no_view_is_wider_than_the_window(
    shared: Service, browser: Browser, nasty: int, widths: tuple[int, int]
) -> None:
    size = {"width": widths[0], "height": 800}
    with dashboard(shared, browser, viewport=size, reduced_motion="reduce") as tab:
        FlowServer().attach(tab.page)
        for view in views_with(nasty, HOLDER, "IN_PROGRESS"):
            resize(tab, widths[0])
            view.open(tab)
            for width in widths:
                resize(tab, width)
                assert (view.name, width, wider(tab)) == (view.name, width, [])
        expect(tab.page.get_by_test_id("countdown")).to_be_visible()
        tab.page.get_by_role("tab", name="History").click()
        tab.page.get_by_test_id("history").get_by_role("button", name="Fields of this event").first.click()
        expect(tab.page.locator(".event-fields")).to_be_visible()
        assert wider(tab) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_dialog_is_wider_than_the_window(shared: Service, browser: Browser, nasty: int, width: int) -> None:
    with dashboard(shared, browser, viewport={"width": width, "height": 800}, reduced_motion="reduce") as tab:
        tab.open(f"/?task={nasty}")
        letters(tab, FONTS[0], "110%")
        for key in ("?", "c", "e", "Control+k", "m", "Shift+Delete"):
            tab.drawer.focus()
            tab.page.keyboard.press(key)
            expect(tab.dialog).to_be_visible()
            assert (key, wider(tab), collisions(tab)) == (key, [], [])
            if key == "e":
                tab.dialog.get_by_label("Name").fill("v" * 100)
                tab.page.keyboard.press("Escape")
                expect(tab.page.get_by_test_id("discard")).to_be_visible()
                assert wider(tab) == []
                tab.page.get_by_test_id("discard-changes").click()
            else:
                tab.page.keyboard.press("Escape")
            expect(tab.dialog).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_sign_in_page_fits_and_explains_a_refused_token_in_plain_words(
    service: Service, browser: Browser, client: RestClient, width: int
) -> None:
    client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})
    with dashboard(service, browser, viewport={"width": width, "height": 640}) as tab:
        tab.page.goto(service.url)
        tab.sign_in("not-a-token")
        error = tab.page.get_by_test_id("form-error")
        expect(error).to_contain_text("The token is unknown or revoked.")
        expect(error).to_contain_text("ask an operator")
        assert "Bearer" not in error.inner_text()
        form = tab.page.get_by_test_id("signin").locator("form").bounding_box()
        assert form is not None
        assert form["width"] >= min(400, width - 40)
        assert abs(form["x"] * 2 + form["width"] - width) <= 2
        expect(tab.page.get_by_role("button", name="Sign in")).to_be_in_viewport(ratio=1)
        assert (wider(tab), tab.violations()) == ([], [])


def test_the_sign_in_page_with_a_reason_fits_a_phone(service: Service, browser: Browser, client: RestClient) -> None:
    with dashboard(service, browser, viewport={"width": 320, "height": 640}) as tab:
        tab.open()
        secret = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
        tab.sign_in(secret)
        tab.expect_status("live")
        tab.context.clear_cookies()
        tab.page.reload()
        expect(tab.page.get_by_test_id("why-sign-in")).to_contain_text("the session has ended")
        expect(tab.page.get_by_role("button", name="Sign in")).to_be_in_viewport(ratio=1)
        assert (wider(tab), tab.violations()) == ([], [])


def test_a_priority_stays_on_one_line_next_to_a_long_epic(shared: Service, browser: Browser, nasty: int) -> None:
    with dashboard(shared, browser, viewport={"width": 1280, "height": 800}) as tab:
        tab.open()
        for priority in tab.page.locator(".card .priority").all():
            box = priority.bounding_box()
            assert box is not None
            assert box["height"] < 24


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_project_name_is_truncated_with_an_ellipsis_in_its_card(
    shared: Service, browser: Browser, nasty: int, width: int
) -> None:
    with dashboard(shared, browser, viewport={"width": width, "height": 800}) as tab:
        tab.open("/?status=IN_PROGRESS")
        card, name = tab.card(nasty), tab.card(nasty).get_by_test_id("card-project")
        expect(name).to_have_attribute("title", f"Project {'P' * 100}")
        outside, inside = card.bounding_box(), name.bounding_box()
        assert outside is not None
        assert inside is not None
        assert outside["x"] < inside["x"]
        assert inside["x"] + inside["width"] < outside["x"] + outside["width"]
        assert inside["height"] < 24
        assert tab.violations() == []


def test_every_column_is_visible_on_a_laptop(shared: Service, browser: Browser, nasty: int) -> None:
    with dashboard(shared, browser, viewport={"width": 1280, "height": 720}) as tab:
        tab.open()
        for status in ("BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"):
            expect(tab.column(status)).to_be_in_viewport(ratio=1)
        expect(tab.page.get_by_test_id("edge-end")).to_be_hidden()


def test_hidden_columns_are_announced_and_reached_with_a_button(shared: Service, browser: Browser, nasty: int) -> None:
    with dashboard(shared, browser, viewport={"width": 900, "height": 720}, reduced_motion="reduce") as tab:
        tab.open()
        expect(tab.column("CANCELLED")).not_to_be_in_viewport()
        expect(tab.page.get_by_test_id("edge-start")).to_be_hidden()
        tab.page.get_by_test_id("edge-end").press("Enter")
        expect(tab.column("CANCELLED")).to_be_in_viewport(ratio=0.9)
        expect(tab.page.get_by_test_id("edge-end")).to_be_hidden()
        expect(tab.page.get_by_test_id("edge-start")).to_be_visible()
        assert tab.violations() == []


def test_the_lanes_show_the_current_time_and_the_lease_on_a_phone(
    shared: Service, browser: Browser, nasty: int
) -> None:
    with dashboard(shared, browser, viewport={"width": 320, "height": 640}) as tab:
        tab.open("/?view=agents")
        lanes = tab.page.get_by_test_id("lanes")
        expect(lanes.get_by_text("now", exact=True)).to_be_in_viewport(ratio=0.9)
        expect(lanes.locator(".lane-bar").first).to_be_in_viewport(ratio=0.5)


def test_a_phone_has_theme_help_and_sign_out_in_one_menu(
    service: Service, browser: Browser, client: RestClient
) -> None:
    secret = client.send("POST", "/api/tokens", {"name": "ada", "role": "operator"})["secret"]
    with dashboard(service, browser, viewport={"width": 320, "height": 640}, color_scheme="light") as tab:
        tab.page.goto(service.url)
        tab.sign_in(secret)
        tab.expect_status("live")
        rows = tab.page.evaluate(
            """() => [...document.querySelectorAll('.topbar > *')].filter((element) => element.checkVisibility()
                && !element.matches('.nav, .push')).map((element) => element.getBoundingClientRect())
                .map((place) => Math.round((place.top + place.bottom) / 8))"""
        )
        assert len(set(rows)) == 1
        more = tab.page.get_by_test_id("more")
        more.click()
        menu = tab.page.locator("#more-menu")
        expect(menu).to_contain_text("ada")
        assert (wider(tab), tab.violations()) == ([], [])
        for _ in range(2):
            menu.get_by_role("button", name="Light, dark").click()
        expect(tab.page.locator("html")).to_have_attribute("data-theme", "dark")
        tab.page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(more).to_be_focused()
        more.click()
        menu.get_by_role("button", name="Keyboard shortcuts").click()
        expect(tab.page.get_by_test_id("help")).to_be_visible()
        tab.page.keyboard.press("Escape")
        more.click()
        menu.get_by_role("button", name="Sign out").click()
        expect(tab.page.get_by_test_id("signin")).to_be_visible()


@pytest.mark.parametrize("view", ["needs", "agents", "activity", "projects"])
def test_a_view_has_margins_and_a_readable_line_length(
    shared: Service, browser: Browser, nasty: int, view: str
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open(f"/?view={view}")
        heading = tab.page.locator("main h1").bounding_box()
        assert heading is not None
        assert heading["x"] > 16
        assert heading["width"] <= 992


@pytest.mark.parametrize("width", [1280, 1000])
def test_a_graph_opens_completely_visible(service: Service, browser: Browser, client: RestClient, width: int) -> None:
    project = client.create_project()
    first = [client.create_task(project, f"Root {number}") for number in range(3)]
    middle = [client.create_task(project, f"Middle {number}", depends_on=first) for number in range(7)]
    for number in range(9):
        client.create_task(project, f"Leaf {number}", depends_on=middle[number % 7 :])
    chain = first[0]
    for number in range(4):
        chain = client.create_task(project, f"Chain {number}", depends_on=[chain])
    with dashboard(service, browser, viewport={"width": width, "height": 720}) as tab:
        tab.open("/?view=graph")
        expect(tab.page.get_by_test_id("node")).to_have_count(23)
        frame = tab.page.get_by_test_id("graph").bounding_box()
        assert frame is not None
        for node in tab.page.get_by_test_id("node").all():
            box = node.bounding_box()
            assert box is not None
            assert frame["x"] <= box["x"]
            assert box["x"] + box["width"] <= frame["x"] + frame["width"]
            assert frame["y"] <= box["y"]
            assert box["y"] + box["height"] <= frame["y"] + frame["height"]


def test_a_large_graph_opens_without_empty_areas_and_fits_on_request(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    last = client.create_task(project, "Link 0")
    for number in range(1, 14):
        last = client.create_task(project, f"Link {number}", depends_on=[last])
    with dashboard(service, browser, viewport={"width": 320, "height": 640}) as tab:
        tab.open("/?view=graph")
        expect(tab.page.get_by_test_id("node")).to_have_count(14)
        expect(tab.page.get_by_test_id("node").first).to_be_in_viewport(ratio=1)
        expect(tab.page.get_by_test_id("node").last).not_to_be_in_viewport()
        tab.page.get_by_role("button", name="Fit").click()
        expect(tab.page.get_by_test_id("node").first).to_be_in_viewport(ratio=1)
        expect(tab.page.get_by_test_id("node").last).to_be_in_viewport(ratio=1)
        assert re.fullmatch(r"[-\d. ]+", tab.page.get_by_test_id("graph").get_attribute("viewBox") or "")
