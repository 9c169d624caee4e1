"""The dashboard with failing requests: it reports the error, retries with backoff and loses no data."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

LONGEST_WAIT_MS = 20_000
BOARD = "**/api/board/state"


def refuse(route: Route) -> None:
    route.fulfill(status=500, json={"code": "internal", "message": "Something broke.", "hint": "Try again."})


class WebSockets:
    """The WebSockets of the page, intercepted. While `outdated`, each one gets a message to reload everything."""

    def __init__(self, page: Page, order: str) -> None:
        self.order = order
        self.outdated = False
        self.open: set[WebSocketRoute] = set()
        self.most = 0
        page.route_web_socket(re.compile("/ws/updates"), self._connect)

    def _connect(self, line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        self.open.add(line)
        self.most = max(self.most, len(self.open))

        def end(code: int | None, reason: str | None) -> None:
            self.open.discard(line)
            server.close()

        line.on_close(end)
        server.on_message(lambda text: self._pass_on(line, str(text)))

    def _pass_on(self, line: WebSocketRoute, text: str) -> None:
        another = self.outdated and self.order == "epoch"
        line.send(re.sub('"epoch":"[^"]*"', '"epoch":"another"', text) if another else text)
        if self.outdated and self.order == "resync":
            line.send('{"type":"resync","epoch":"the same","seq":1}')

    def cut(self) -> None:
        self.open.pop().close()

    def outdate(self) -> None:
        """From now on, report on every WebSocket that the board is outdated. Close the open one."""
        self.outdated = True
        self.cut()


@contextmanager
def with_websockets(
    service: Service, browser: Browser, order: str
) -> Iterator[tuple[Dashboard, WebSockets, list[str]]]:
    """Yield an open dashboard, its WebSockets and its later board requests. The test controls its clock."""
    asked: list[str] = []
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        lines = WebSockets(tab.page, order)
        tab.open()
        tab.page.on("request", lambda request: asked.append(request.url) if "/board/state" in request.url else None)
        yield tab, lines, asked


def pass_time(tab: Dashboard, milliseconds: int) -> None:
    """Advance the clock. Return when the requests that the page makes at that time are on their way."""
    tab.page.clock.fast_forward(milliseconds)
    assert tab.page.evaluate("fetch('/healthz').then((answer) => answer.ok)")


def wait_until_scheduled(tab: Dashboard) -> None:
    """Return when the page has the result of its last attempt and shows when it makes the next one."""
    expect(tab.connection).to_have_attribute("title", re.compile("Next attempt in [1-9]"))


def wait_until_asked(tab: Dashboard, asked: list[str], times: int) -> None:
    """Advance the clock until the page has sent this number of board requests.

    The clock stands still while the page waits for a response. Otherwise a slow response would arrive a minute after
    the last resync, and the page would reload at once.
    """
    for _ in range(100):
        if len(asked) >= times:
            return
        wait_until_scheduled(tab)
        pass_time(tab, LONGEST_WAIT_MS)
    raise AssertionError(f"asked {len(asked)} times instead of {times}")


def asked_without_hurry(tab: Dashboard, asked: list[str]) -> int:
    """Return the number of board requests. Check that the next one is more than a quarter of the longest wait away."""
    wait_until_scheduled(tab)
    before = len(asked)
    pass_time(tab, LONGEST_WAIT_MS // 4)
    assert len(asked) == before
    return before


@pytest.mark.parametrize("order", ["epoch", "resync"])
def test_a_failing_board_reload_is_retried_with_backoff_on_one_websocket(
    service: Service, browser: Browser, client: RestClient, order: str
) -> None:
    project = client.create_project()
    with with_websockets(service, browser, order) as (tab, lines, asked):
        tab.page.route(BOARD, refuse)
        lines.outdate()
        wait_until_asked(tab, asked, 7)
        tab.expect_status("stale")
        assert lines.most == 1
        before = asked_without_hurry(tab, asked)
        unseen = client.create_task(project, "Meanwhile")
        lines.outdated = False
        tab.page.unroute(BOARD)
        wait_until_asked(tab, asked, before + 1)
        tab.expect_status("live")
        expect(tab.card(unseen)).to_be_visible()
        assert lines.most == 1


@pytest.mark.parametrize(("order", "words"), [("epoch", "reach different databases"), ("resync", "requests a resync")])
def test_a_board_that_stays_outdated_is_shown_as_stale_and_reloaded_with_backoff(
    service: Service, browser: Browser, client: RestClient, order: str, words: str
) -> None:
    project = client.create_project()
    with with_websockets(service, browser, order) as (tab, lines, asked):
        lines.outdate()
        wait_until_asked(tab, asked, 2)
        tab.expect_status("stale")
        expect(tab.page.get_by_test_id("stale")).to_contain_text(words)
        for times in range(3, 9):
            wait_until_asked(tab, asked, times)
            tab.expect_status("stale")
        before = asked_without_hurry(tab, asked)
        unseen = client.create_task(project, "Meanwhile")
        lines.outdated = False
        wait_until_asked(tab, asked, before + 1)
        tab.expect_status("live")
        expect(tab.card(unseen)).to_be_visible()
        assert lines.most == 1


@pytest.mark.parametrize("kind", ["projects", "epics"])
def test_a_new_project_or_epic_that_fails_to_load_is_loaded_later(
    service: Service, browser: Browser, client: RestClient, kind: str
) -> None:
    project = client.create_project("There before")
    each = f"**/api/{kind}/*"
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open("/?view=projects")
        main = tab.page.locator("main")
        expect(main).to_contain_text("There before")
        tab.page.route(each, refuse)
        with tab.page.expect_response(each):
            client.create_project("Newcomer") if kind == "projects" else client.create_epic(project, "Newcomer")
        tab.page.unroute(each)
        tab.page.clock.fast_forward(LONGEST_WAIT_MS)
        expect(main).to_contain_text("Newcomer")


def secret_of(client: RestClient) -> str:
    return str(client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"])


def only_reads(answer: Callable[[Route], None]) -> Callable[[Route], None]:
    return lambda route: answer(route) if route.request.method == "GET" else route.continue_()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse, "Something broke."),
        (lambda route: route.fulfill(json={"auth_required": True, "actor": None}), "did not store the session cookie"),
    ],
    ids=["failed", "no cookie"],
)
def test_a_failed_sign_in_with_a_valid_token_shows_the_reason(
    service: Service, browser: Browser, client: RestClient, answer: Callable[[Route], None], words: str
) -> None:
    secret = secret_of(client)
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.page.get_by_test_id("token").fill(secret)
        tab.page.route("**/api/session", only_reads(answer))
        tab.page.get_by_role("button", name="Sign in").click()
        expect(tab.page.get_by_test_id("form-error")).to_contain_text(words)
        tab.page.unroute("**/api/session")
        tab.page.get_by_role("button", name="Sign in").click()
        tab.expect_status("live")
