"""The board in a real browser against a real server."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from playwright.sync_api import Browser, expect

from project_manager.domain.readiness import ReadinessInput, blockers
from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import TIMEOUT, Service, sample

BLOCKED = ReadinessInput(
    *("TODO", False, 0, (5, 6, 7), (9,), None, 0), cancelled=(7,), open_subtasks=(8,), path_conflicts=(2, 3)
)
SHORT = """async (reasons) => {
    const page = document.querySelector('script[type=module]').src;
    const { shortReason } = await import(new URL('core/vocabulary.js', page));
    return reasons.map(shortReason);
}"""


def test_an_empty_board_explains_how_to_start(service: Service, browser: Browser, client: RestClient) -> None:
    """The demo starts by one click, and its end leaves the empty board again."""
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.page.get_by_text("No tasks yet")).to_be_visible()
        expect(tab.page.get_by_role("listitem")).to_have_text([re.compile(t) for t in ("demo", "plan", "agent")])
        assert tab.violations() == []
        tab.page.get_by_test_id("start-demo").click()
        expect(tab.column("IN_PROGRESS").get_by_text("demo-ada")).to_be_visible()
        expect(tab.page.get_by_test_id("demo")).to_contain_text("Scripted agents work on Bike rental (demo)")
        assert tab.violations() == []
        tab.page.get_by_test_id("stop-demo").click()
        tab.confirm()
        expect(tab.page.get_by_test_id("start-demo")).to_be_visible()
        expect(tab.page.get_by_test_id("demo")).to_have_count(0)
    assert client.send("GET", "/api/projects")["items"] == []


def test_a_claim_appears_at_once_with_holder_and_countdown(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Write the parser", priority=0, labels=["core"])
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.card_in("TODO", task)).to_contain_text("Ready")
        expect(tab.card_in("TODO", task)).to_contain_text("P0")
        expect(tab.card_in("TODO", task)).to_contain_text("core")
        client.claim(task, "claude-7", 600)
        held = tab.card_in("IN_PROGRESS", task)
        expect(held).to_contain_text("claude-7")
        expect(held.locator(".left")).to_have_text(re.compile(r"(10:00|9:\d\d)$"))
        client.set_status(task, "DONE", agent_id="claude-7")
        expect(tab.card_in("DONE", task)).to_be_visible()
        expect(tab.column("IN_PROGRESS").get_by_test_id("count")).to_have_text("0")


def test_the_course_of_a_lease_is_shown_from_events_without_reads(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Write the parser")
    reads: list[str] = []
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.card_in("TODO", task)).to_contain_text("Ready")
        tab.page.on("request", lambda request: reads.append(request.url) if "/api/tasks" in request.url else None)
        client.claim(task, "claude-7", 600)
        expect(tab.card_in("IN_PROGRESS", task)).to_contain_text("claude-7")
        client.release(task, "claude-7", failed=True)
        expect(tab.card_in("TODO", task)).to_contain_text("Ready")
        expect(tab.card(task).get_by_test_id("attempts")).to_have_text("tried once")
        client.claim(task, "codex-2", 600)
        client.set_status(task, "DONE", agent_id="codex-2")
        expect(tab.card_in("DONE", task)).to_contain_text("codex-2")
        tab.settle()
        assert reads == []


def test_a_move_by_another_person_resets_the_failed_attempts_on_the_board(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Flaky work")
    client.claim(task, "claude-7")
    client.release(task, "claude-7", failed=True)
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.card_in("TODO", task).get_by_test_id("attempts")).to_have_text("tried once")
        client.set_status(task, "BACKLOG")
        expect(tab.card_in("BACKLOG", task)).to_be_visible()
        expect(tab.card(task).get_by_test_id("attempts")).to_have_count(0)


def test_a_waiting_task_names_its_dependency_and_becomes_ready_live(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first = client.create_task(project, "Design")
    second = client.create_task(project, "Build", depends_on=[first])
    with dashboard(service, browser) as tab:
        tab.open()
        reason = tab.card(second).get_by_title(f"depends on unfinished task #{first}")
        expect(reason).to_have_text(f"waits for #{first}")
        client.set_status(first, "DONE")
        expect(tab.card(second)).to_contain_text("Ready")
        assert tab.page.evaluate(SHORT, [blocker.message for blocker in blockers(BLOCKED)]) == [
            "waits for #5, #6",
            "waits for cancelled #7",
            "subtasks open: #8",
            "conflicts with #9",
            "paths overlap #2, #3",
        ]


def test_a_task_with_an_expired_lease_moves_back_without_a_reload(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Short work")
    with dashboard(service, browser) as tab:
        tab.open()
        client.claim(task, "gone-agent", 1)
        expect(tab.card_in("TODO", task)).to_contain_text("tried once")
        tab.page.get_by_test_id("nav-needs").click()
        expect(tab.page.get_by_test_id("need-lost")).to_contain_text("Short work")


def test_blocked_tasks_have_their_own_column_and_count(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task = client.create_task(project, "Stuck")
    client.create_task(project, "Free")
    client.set_status(task, "BLOCKED")
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.column("BLOCKED").get_by_test_id("count")).to_have_text("1")
        expect(tab.column("TODO").get_by_test_id("count")).to_have_text("1")


def test_filters_and_search_are_part_of_the_address(service: Service, browser: Browser, client: RestClient) -> None:
    project, other = client.create_project(), client.create_project("Search")
    epic = client.create_epic(project, "Payments")
    chosen = client.create_task(project, "Refund by card", epic_id=epic, labels=["backend"])
    client.create_task(project, "Refund by voucher", labels=["backend"])
    elsewhere = client.create_task(other, "Refund elsewhere")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("filter-project").select_option(label="Checkout")
        expect(tab.card(elsewhere)).to_have_count(0)
        tab.filter_by("epic", "Payments")
        tab.filter_by("label", "backend")
        tab.page.get_by_test_id("search").fill("refund card")
        expect(tab.page.get_by_test_id("shown")).to_have_text("1 of 3 tasks")
        expect(tab.page).to_have_url(re.compile(rf"project={project}&epic={epic}&label=backend&q=refund\+card"))
        tab.page.reload()
        expect(tab.card(chosen)).to_be_visible()
        expect(tab.page.get_by_test_id("shown")).to_have_text("1 of 3 tasks")
        tab.page.get_by_role("button", name="Clear").click()
        expect(tab.page.get_by_test_id("shown")).to_have_text("2 of 3 tasks")


def test_a_card_names_its_project_while_several_are_on_the_board(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project, other = client.create_project(), client.create_project("Search")
    first, second = client.create_task(project, "Refund"), client.create_task(other, "Ranking")
    client.create_task(project, "Voucher")
    with dashboard(service, browser) as tab:
        tab.open()
        for task, name in ((first, "Checkout"), (second, "Search")):
            shown = tab.card(task).get_by_test_id("card-project")
            expect(shown).to_contain_text(name)
            expect(shown).to_have_attribute("title", f"Project {name}")
        client.send("PATCH", f"/api/projects/{other}", {"name": "Ranking and search"})
        expect(tab.card(second).get_by_test_id("card-project")).to_contain_text("Ranking and search")
        tab.page.get_by_test_id("filter-project").select_option(label="Checkout")
        expect(tab.card(second)).to_have_count(0)
        expect(tab.card(first)).to_be_visible()
        expect(tab.page.get_by_test_id("card-project")).to_have_count(0)


def test_holders_and_readiness_filter_the_board(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    held, free = client.create_task(project, "Held"), client.create_task(project, "Free")
    client.claim(held, "codex-2")
    with dashboard(service, browser) as tab:
        tab.open("/?holder=codex-2")
        expect(tab.card(held)).to_be_visible()
        expect(tab.card(free)).to_have_count(0)
        tab.open("/?ready=ready")
        expect(tab.card(free)).to_be_visible()
        expect(tab.card(held)).to_have_count(0)


def test_a_task_is_moved_by_dragging_and_the_move_can_be_undone(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Drag me")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.card(task).drag_to(tab.column("REVIEW"))
        expect(tab.card_in("REVIEW", task)).to_be_visible()
        expect(tab.toast("Moved")).to_be_visible()
        assert client.get_task(task)["status"] == "REVIEW"
        tab.toast("Moved").get_by_role("button", name="Undo").click()
        expect(tab.card_in("TODO", task)).to_be_visible()
        expect(tab.toast("is back in To do")).to_be_visible()
        assert client.get_task(task)["status"] == "TODO"


def test_a_claimed_task_moves_only_after_the_user_confirms_to_take_it_over(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Contested")
    client.claim(task, "claude-7")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("move").select_option("REVIEW")
        expect(tab.dialog).to_contain_text("claude-7 is working on this")
        tab.dialog.get_by_role("button", name="Cancel").click()
        assert client.get_task(task)["lock"]["holder"] == "claude-7"
        tab.page.get_by_test_id("move").select_option("REVIEW")
        tab.confirm()
        expect(tab.card_in("REVIEW", task)).to_be_visible()
        expect(tab.toast("to Review")).to_be_visible()
        after = client.get_task(task)
        assert (after["status"], after["lock"]) == ("REVIEW", None)


def test_a_lease_is_extended_taken_over_and_released_from_the_drawer(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Leased")
    fence = client.claim(task, "claude-7", 60)["fence"]
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("extend").select_option("1800")
        expect(tab.page.get_by_test_id("countdown")).to_have_text(re.compile(r"^(30:00|29:\d\d)$"))
        lock = client.get_task(task)["lock"]
        assert (lock["holder"], lock["fence"]) == ("claude-7", fence)
        tab.page.get_by_test_id("take-over").click()
        tab.confirm()
        expect(tab.page.get_by_test_id("lease")).to_contain_text("(you)")
        assert client.get_task(task)["lock"]["fence"] > fence
        tab.page.get_by_test_id("release").click()
        expect(tab.drawer.get_by_text("Ready.")).to_be_visible()
        assert client.get_task(task)["lock"] is None


def subscribers(service: Service) -> float:
    with service.http() as client:
        return sample(client.get("/metrics").text, "pm_subscribers")


def wait_for_work(service: Service) -> dict[str, Any]:
    filters = {"agent_id": "waiter", "wait_seconds": 50}
    return dict(httpx.post(f"{service.url}/api/tasks/claim", json=filters, timeout=60, trust_env=False).json())


def test_a_task_that_is_taken_over_goes_to_the_user_and_not_to_a_waiting_agent(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Contested")
    lock = client.claim(task, "claude-7")
    with dashboard(service, browser) as tab, ThreadPoolExecutor(1) as agent:
        tab.open(f"/?task={task}")
        before = subscribers(service)
        claim = agent.submit(wait_for_work, service)
        service.wait_until(lambda: subscribers(service) > before)
        tab.page.get_by_test_id("take-over").click()
        tab.confirm()
        expect(tab.page.get_by_test_id("lease")).to_contain_text("(you)")
        taken = client.get_task(task)
        assert (taken["lock"]["holder"], taken["lock"]["fence"], taken["attempts"]) == ("local", lock["fence"] + 1, 0)
        other = client.create_task(taken["project_id"], "For the agent")
        assert claim.result(TIMEOUT)["task"]["id"] == other


def test_a_finished_task_is_reopened_only_after_confirmation(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Finished")
    client.set_status(task, "DONE")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("move").select_option("TODO")
        expect(tab.dialog).to_contain_text("Reopen")
        tab.confirm()
        expect(tab.card_in("TODO", task)).to_be_visible()


def test_a_deleted_task_stays_deleted_after_a_reload(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task, kept = client.create_task(project, "Throw away"), client.create_task(project, "Keep")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("delete").click()
        tab.confirm()
        expect(tab.card(task)).to_have_count(0)
        tab.open()
        expect(tab.card(kept)).to_be_visible()
        expect(tab.card(task)).to_have_count(0)


def test_a_refused_action_shows_the_error_of_the_server_and_a_remedy(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first = client.create_task(project, "Needed")
    client.create_task(project, "Needs it", depends_on=[first])
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={first}")
        tab.page.get_by_test_id("delete").click()
        tab.confirm()
        refusal = tab.toast(f"task {first} is a dependency of")
        expect(refusal).to_contain_text("Remove the dependency from those tasks first")
        assert client.get_task(first)["name"] == "Needed"


def test_the_log_is_read_written_and_followed_live(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Talkative")
    client.add_log(task, "**Half** done", agent_id="claude-7")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        expect(tab.page.get_by_test_id("log-entry").locator("strong")).to_have_text("Half")
        tab.page.get_by_test_id("log-body").fill("Please use half-even")
        tab.page.get_by_test_id("log-body").press("Control+Enter")
        expect(tab.page.get_by_test_id("log-entry").first).to_contain_text("Please use half-even")
        client.add_log(task, "Will do", agent_id="claude-7")
        expect(tab.page.get_by_test_id("log-entry").first).to_contain_text("Will do")
        tab.page.get_by_role("tab", name="History").click()
        expect(tab.page.get_by_test_id("history")).to_contain_text("created")


def test_text_from_agents_never_becomes_markup(service: Service, browser: Browser, client: RestClient) -> None:
    evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
    task = client.create_task(
        client.create_project(evil), evil, description=f"{evil}\n[x](javascript:alert(1))", labels=[evil[:60]]
    )
    client.claim(task, evil)
    client.add_log(task, evil, agent_id=evil)
    with dashboard(service, browser) as tab:
        for address in (f"/?task={task}", "/?view=agents", "/?view=activity", "/?view=projects", "/?view=needs"):
            tab.open(address)
            expect(tab.page.get_by_text("<img src=x").first).to_be_attached()
            assert tab.page.locator("img, main script, a[href^='javascript']").count() == 0
        assert tab.page.title().endswith("Project Manager")


def test_a_change_of_filter_scrolls_every_column_to_the_top(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    for status in ("TODO", "BACKLOG"):
        tasks = [
            {"name": f"Task {number}", "status": status, "labels": ["even"] * (1 - number % 2)} for number in range(200)
        ]
        client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    with dashboard(service, browser) as tab:
        tab.open()
        for status in ("TODO", "BACKLOG"):
            expect(tab.column(status).get_by_test_id("count")).to_have_text("200")
        changes: tuple[Callable[[], None], ...] = (
            lambda: tab.filter_by("label", "even"),
            lambda: tab.page.get_by_test_id("search").fill("task 1"),
            lambda: tab.page.get_by_role("button", name="Clear").click(),
        )
        for change in changes:
            for status in ("TODO", "BACKLOG"):
                scroller = tab.column(status).locator(".column-scroll")
                scroller.evaluate("(list) => list.scrollTo(0, 3000)")
                expect(scroller).not_to_have_js_property("scrollTop", 0)
            change()
            for status in ("TODO", "BACKLOG"):
                expect(tab.column(status).locator(".column-scroll")).to_have_js_property("scrollTop", 0)


def test_filters_without_a_match_are_named_and_can_be_cleared(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project, other = client.create_project(), client.create_project("Empty one")
    task = client.create_task(project, "Here")
    with dashboard(service, browser) as tab:
        tab.open(f"/?project={project}")
        tab.page.get_by_test_id("search").fill("no such words")
        expect(tab.page.get_by_text("No task matches")).to_be_visible()
        expect(tab.page.get_by_text("Nothing here")).to_have_count(0)
        assert tab.violations() == []
        tab.page.get_by_test_id("clear-filters").click()
        expect(tab.card(task)).to_be_visible()
        expect(tab.page.get_by_test_id("search")).to_have_value("")
        expect(tab.page.get_by_test_id("search")).to_be_focused()
        assert f"project={project}" in tab.page.url
        tab.page.get_by_test_id("filter-project").select_option(str(other))
        expect(tab.page.get_by_text("No task in this project")).to_be_visible()
        tab.page.get_by_role("main").get_by_role("button", name="New task").click()
        expect(tab.dialog.get_by_label("Project")).to_have_value(str(other))


def test_a_viewer_gets_no_hints_to_create_anything(service: Service, browser: Browser, client: RestClient) -> None:
    operator = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    with service.http(Authorization=f"Bearer {operator}") as root:
        secret = root.post("/api/tokens", json={"name": "ada", "role": "viewer"}).json()["secret"]
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.page.get_by_test_id("token").fill(secret)
        tab.page.get_by_role("button", name="Sign in").click()
        for view, words in (
            ("board", "No tasks yet"),
            ("projects", "No projects yet"),
            ("graph", "No dependencies to draw"),
        ):
            tab.page.get_by_test_id(f"nav-{view}").click()
            empty = tab.page.locator(".empty")
            expect(empty).to_contain_text(words)
            expect(empty).not_to_contain_text(re.compile("import|write|create one here|edit a task", re.IGNORECASE))
            expect(empty.get_by_role("button")).to_have_count(0)
