"""The connection to the server: the page is up to date, or shows since when it is not."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import APIResponse, Browser, Route, WebSocketRoute, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

Start = Callable[..., Service]
MARK = "document.documentElement.dataset.sameDocument = 'yes'"


def expect_no_reload(tab: Dashboard) -> None:
    expect(tab.page.locator("html")).to_have_attribute("data-same-document", "yes")


def press_until_live(tab: Dashboard) -> None:
    """Press the retry button until the page is live. The button may disappear at any moment."""
    tab.page.evaluate("""() => document.querySelector("button[data-testid='connection']")?.click()""")
    tab.expect_status("live")


def test_the_page_reconnects_to_a_restarted_server_without_a_reload(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    before = client.create_task(project, "Before")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.evaluate(MARK)
        service.kill()
        tab.expect_status("reconnecting")
        expect(tab.connection).to_have_text(re.compile(r"Reconnecting (now|in \d+ s)"))
        service.start()
        after = client.create_task(project, "After")
        client.set_status(before, "DONE")
        press_until_live(tab)
        expect(tab.card_in("TODO", after)).to_be_visible()
        expect(tab.card_in("DONE", before)).to_be_visible()
        expect_no_reload(tab)


def test_the_page_reconnects_within_seconds_after_a_long_outage(service: Service, browser: Browser) -> None:
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open()
        service.kill()
        tab.expect_status("reconnecting")
        for _ in range(12):
            with tab.page.expect_websocket():
                tab.page.clock.fast_forward(2000)
        tab.expect_status("stale")
        expect(tab.page).to_have_title("(?) Board · Project Manager")
        expect(tab.page.get_by_test_id("stale")).to_contain_text(re.compile(r"Next attempt (now|in [12] s)"))
        service.start()
        tab.page.clock.fast_forward(2000)
        tab.expect_status("live")


def test_the_page_reconnects_with_backoff_to_a_server_that_refuses(start_service: Start, browser: Browser) -> None:
    service = start_service(WEBSOCKET_MAX_CONNECTIONS=1)
    with dashboard(service, browser) as first, dashboard(service, browser) as second:
        first.open()
        second.page.clock.install()
        refused: list[str] = []
        second.page.on("websocket", lambda line: line.on("close", lambda _: refused.append(line.url)))
        second.page.goto(service.url)
        for times in range(1, 9):
            service.wait_until(lambda: second.page.evaluate("1") and len(refused) >= times)  # noqa: B023
            expect(second.connection).to_have_attribute("data-status", re.compile("reconnecting|stale"))
            second.page.clock.fast_forward(20_000)
        expect(second.page.get_by_test_id("stale")).to_contain_text(re.compile(r"Next attempt in (1\d|20) s"))


def test_a_long_outage_is_shown_as_stale_with_its_time_and_ends_by_itself(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Meanwhile")
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open()
        tab.page.evaluate(MARK)
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")
        tab.page.clock.fast_forward(30_000)
        tab.expect_status("stale")
        expect(tab.connection).to_have_text(re.compile(r"Stale since \d\d:\d\d"))
        expect(tab.page.get_by_test_id("stale")).to_contain_text("Next attempt")
        client.claim(task, "claude-7")
        tab.context.set_offline(False)
        tab.expect_status("live")
        expect(tab.card_in("IN_PROGRESS", task)).to_contain_text("claude-7")
        expect(tab.page.get_by_test_id("stale")).to_have_count(0)
        expect_no_reload(tab)


def test_a_stale_page_shows_the_remaining_lease_time_as_unknown(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Held")
    client.claim(task, "claude-7", 3600)
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open(f"/?task={task}")
        left, panel = tab.card(task).locator(".left"), tab.page.get_by_test_id("countdown")
        expect(left).to_contain_text(re.compile(r"\d:\d\d"))
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")
        tab.page.clock.fast_forward(30_000)
        tab.expect_status("stale")
        expect(left).to_contain_text("unknown")
        expect(panel).to_have_text("unknown")
        expect(tab.page.get_by_test_id("strip")).to_have_text(
            re.compile(r"State of the agents unknown since \d\d:\d\d")
        )
        assert tab.violations() == []
        tab.context.set_offline(False)
        tab.expect_status("live")
        expect(left).to_contain_text(re.compile(r"\d:\d\d"))
        expect(panel).to_have_text(re.compile(r"\d:\d\d"))


def test_a_write_while_offline_shows_an_error_and_is_rolled_back(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Not now")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")  # the browser goes offline some time after the call
        tab.page.wait_for_function(
            "() => fetch('/livez').then(() => false, () => true)"
        )  # and for requests later still
        tab.page.get_by_test_id("move").select_option("DONE")
        expect(tab.toast("The server cannot be reached")).to_contain_text("it may have taken effect")
        expect(tab.card_in("TODO", task)).to_be_visible()


def test_the_page_reloads_its_data_when_the_database_is_replaced(
    service: Service, browser: Browser, client: RestClient
) -> None:
    old = client.create_task(client.create_project("Old"), "Of the old database")
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.card(old)).to_contain_text("Of the old database")
        service.kill()
        for left in service.folder.glob("pm.db*"):
            left.unlink()
        service.start()
        client.create_task(client.create_project("New"), "Of the new database")
        press_until_live(tab)
        expect(tab.column("TODO")).to_contain_text("Of the new database")
        expect(tab.column("TODO")).not_to_contain_text("Of the old database")


def test_a_full_server_is_shown_as_the_reason_and_the_page_connects_when_possible(
    start_service: Start, browser: Browser
) -> None:
    service = start_service(WEBSOCKET_MAX_CONNECTIONS=1)
    with dashboard(service, browser) as second:
        with dashboard(service, browser) as first:
            first.open()
            second.page.goto(service.url)
            expect(second.connection).to_have_attribute("title", re.compile("at its limit of live connections"))
        expect(second.connection).to_have_attribute("data-status", "live", timeout=30_000)


def test_a_silently_dead_connection_is_detected_and_replaced(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    lines: list[WebSocketRoute] = []

    def dead_at_first(line: WebSocketRoute) -> None:
        lines.append(line)
        server = line.connect_to_server()
        if len(lines) == 1:
            server.on_message(lambda text: line.send(text) if '"hello"' in str(text) else None)

    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.page.route_web_socket(re.compile("/ws/updates"), dead_at_first)
        tab.open()
        unseen = client.create_task(project, "Changed while the page was offline")
        expect(tab.card(unseen)).to_have_count(0)
        tab.page.clock.fast_forward(60_000)
        expect(tab.card(unseen)).to_be_visible()
        assert len(lines) == 2


def test_an_idle_connection_that_works_is_kept(service: Service, browser: Browser) -> None:
    opened: list[str] = []
    with dashboard(service, browser) as tab:
        tab.page.on("websocket", lambda line: opened.append(line.url))
        tab.page.clock.install()
        tab.open()
        with tab.page.expect_response(re.compile(r"/api/events\?since=")):
            tab.page.clock.fast_forward(60_000)
        tab.expect_status("live")
        assert len(opened) == 1


def test_a_running_lease_is_polled_because_a_renewal_emits_no_event(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Long work")
    client.claim(task, "claude-7", 3600)
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open()
        with tab.page.expect_response(re.compile(rf"/api/tasks\?ids={task}&")):
            tab.page.clock.fast_forward(35 * 60_000)
            tab.page.clock.run_for(10_000)


def test_events_are_polled_when_websockets_are_blocked(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Behind a proxy")
    with dashboard(service, browser) as tab:
        tab.page.route_web_socket(re.compile("/ws/updates"), lambda line: line.close())
        tab.open()
        client.claim(task, "claude-7")
        expect(tab.card_in("IN_PROGRESS", task)).to_contain_text("claude-7")
        tab.expect_status("live")


def test_the_remaining_time_is_computed_with_the_clock_of_the_server(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "In another year")
    client.claim(task, "claude-7", 600)
    with dashboard(service, browser) as tab:
        tab.page.clock.install(time="2001-02-03T04:05:06Z")
        tab.open()
        expect(tab.card(task).locator(".left")).to_have_text(re.compile(r"(10:00|9:\d\d)$"))
        tab.card(task).click()
        expect(tab.page.get_by_test_id("lease")).to_contain_text("since just now")


def test_a_burst_of_changes_is_read_in_few_requests(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    calls: list[str] = []
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.on("request", lambda request: calls.append(request.url) if "/api/tasks?ids" in request.url else None)
        tasks = [{"name": f"Task {number}"} for number in range(400)]
        client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
        expect(tab.column("TODO").get_by_test_id("count")).to_have_text("400")
        assert len(calls) <= 5


def test_a_server_with_tokens_asks_for_one_and_hides_it_from_scripts(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Needs a token")
    operator = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    with service.http(Authorization=f"Bearer {operator}") as root:
        secret = root.post("/api/tokens", json={"name": "ada", "role": "viewer"}).json()["secret"]
    with service.http() as stranger:
        service.wait_until(lambda: stranger.get("/api/tasks").status_code == 401)
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.sign_in("not-a-token")
        expect(tab.page.get_by_test_id("form-error")).to_be_visible()
        tab.sign_in(secret)
        expect(tab.card(task)).to_be_visible()
        tab.expect_status("live")
        assert tab.page.evaluate("document.cookie") == ""
        expect(tab.page.get_by_test_id("new-task")).to_have_count(0)
        tab.card(task).click()
        expect(tab.page.get_by_test_id("move")).to_be_disabled()
        tab.page.get_by_role("button", name="Sign out").click()
        expect(tab.page.get_by_test_id("signin")).to_be_visible()


def test_text_typed_before_the_session_ended_is_restored_only_for_the_same_user(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_project()
    root = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    with service.http(Authorization=f"Bearer {root}") as operator, dashboard(service, browser) as tab:

        def token_of(name: str) -> dict[str, Any]:
            return dict(operator.post("/api/tokens", json={"name": name, "role": "operator"}).json())

        def end_session(of: dict[str, Any]) -> None:
            assert operator.delete(f"/api/tokens/{of['id']}").is_success
            expect(tab.page.get_by_test_id("signin")).to_be_visible()

        tab.page.goto(service.url)
        first = token_of("ada")
        tab.sign_in(first["secret"])
        tab.expect_status("live")
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Half an idea")
        end_session(first)
        expect(tab.dialog).to_be_hidden()
        expect(tab.page.get_by_test_id("new-task")).to_be_hidden()
        assert tab.violations() == []
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_test_id("token")).to_be_visible()
        second = token_of("ada")
        tab.sign_in(second["secret"])
        expect(tab.page.get_by_test_id("signin")).to_have_count(0)
        expect(tab.dialog.get_by_label("Name")).to_be_focused()
        expect(tab.dialog.get_by_label("Name")).to_have_value("Half an idea")
        tab.page.get_by_test_id("save").click()
        expect(tab.page.get_by_text("Half an idea").first).to_be_visible()
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Mine")
        end_session(second)
        tab.sign_in(token_of("bob")["secret"])
        expect(tab.page.get_by_test_id("new-task")).to_be_visible()
        expect(tab.dialog).to_have_count(0)


def test_a_late_answer_to_a_request_of_the_ended_session_does_not_end_the_new_one(
    service: Service, browser: Browser, client: RestClient
) -> None:
    root = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    held: list[tuple[Route, APIResponse]] = []

    def hold_refusal(route: Route) -> None:
        answer = route.fetch()
        if answer.status == 401 and not held:
            held.append((route, answer))
        else:  # the page may still ask for the agents after the first sign-in
            route.fulfill(response=answer)

    with service.http(Authorization=f"Bearer {root}") as operator, dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        first = operator.post("/api/tokens", json={"name": "ada", "role": "operator"}).json()
        tab.sign_in(first["secret"])
        tab.expect_status("live")
        tab.page.route("**/api/agents?*", hold_refusal)
        assert operator.delete(f"/api/tokens/{first['id']}").is_success
        expect(tab.page.get_by_test_id("signin")).to_be_visible()
        tab.sign_in(operator.post("/api/tokens", json={"name": "ada", "role": "operator"}).json()["secret"])
        tab.expect_status("live")
        [(late, refusal)] = held
        assert refusal.status == 401
        with tab.page.expect_response("**/api/agents?*") as answered:
            late.fulfill(response=refusal)
        answered.value.finished()
        tab.page.evaluate("() => fetch('/api/session').then((response) => response.json())")
        expect(tab.page.get_by_test_id("signin")).to_have_count(0)
        tab.expect_status("live")


def test_a_page_that_waits_for_a_sign_in_sends_no_requests(
    service: Service, browser: Browser, client: RestClient
) -> None:
    root = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    with service.http(Authorization=f"Bearer {root}") as operator, dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.page.goto(service.url)
        made = operator.post("/api/tokens", json={"name": "ada", "role": "operator"}).json()
        tab.sign_in(made["secret"])
        tab.expect_status("live")
        assert operator.delete(f"/api/tokens/{made['id']}").is_success
        expect(tab.page.get_by_test_id("signin")).to_be_visible()
        sent: list[str] = []
        tab.page.on("request", lambda request: sent.append(request.url))
        tab.page.on("websocket", lambda socket: sent.append(socket.url))
        for _ in range(10):
            tab.page.clock.fast_forward(60_000)
        assert sent == []


def test_the_sign_in_page_shows_a_reason_only_when_access_was_lost(
    service: Service, browser: Browser, client: RestClient
) -> None:
    with dashboard(service, browser) as tab:
        why = tab.page.get_by_test_id("why-sign-in")
        tab.open()
        root = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
        expect(why).to_have_text("This server now requires a token.")
        with service.http(Authorization=f"Bearer {root}") as operator:
            made = operator.post("/api/tokens", json={"name": "ada", "role": "viewer"}).json()
            tab.page.reload()
            expect(tab.page.get_by_test_id("token")).to_be_visible()
            expect(why).to_have_count(0)
            tab.sign_in(made["secret"])
            tab.expect_status("live")
            assert operator.delete(f"/api/tokens/{made['id']}").is_success
        ended = "You were signed out: the session has ended, or its token was revoked. Sign in again."
        expect(why).to_have_text(ended)
        assert tab.violations() == []
        tab.page.reload()
        expect(why).to_have_text(ended)
        tab.sign_in("not-a-token")
        expect(tab.page.get_by_test_id("form-error")).to_be_visible()
        expect(why).to_have_count(0)
        tab.sign_in(root)
        tab.expect_status("live")
        tab.page.get_by_role("button", name="Sign out").click()
        expect(tab.page.get_by_test_id("signin")).to_be_visible()
        expect(why).to_have_count(0)


def test_a_page_of_another_release_offers_to_reload(service: Service, browser: Browser) -> None:
    def newer(line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        server.on_message(lambda text: line.send(re.sub('"version":"[^"]*"', '"version":"99.0"', str(text))))

    with dashboard(service, browser) as tab:
        tab.page.route_web_socket(re.compile("/ws/updates"), newer)
        tab.open()
        expect(tab.page.get_by_test_id("update")).to_contain_text("updated to 99.0")
