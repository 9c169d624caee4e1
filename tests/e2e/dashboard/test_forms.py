"""Forms for creating and editing, and the views other than the board."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
from playwright.sync_api import Browser, Route, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

Start = Callable[..., Service]


def save(tab: Dashboard) -> None:
    tab.page.get_by_test_id("save").click()


def filled(tab: Dashboard, name: str) -> None:
    tab.page.get_by_test_id("new-task").click()
    tab.dialog.get_by_label("Name").fill(name)


def test_control_enter_sends_every_form(service: Service, browser: Browser, client: RestClient) -> None:
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        tab.page.get_by_role("button", name="New project").click()
        tab.dialog.get_by_label("Name").fill("Checkout")
        tab.dialog.get_by_label("Description").press("Control+Enter")
        tab.page.get_by_test_id("project").get_by_role("button", name="Epic", exact=True).click()
        tab.dialog.get_by_label("Name").fill("Payments")
        tab.dialog.get_by_label("Status").press("Control+Enter")
        expect(tab.page.get_by_test_id("epic")).to_contain_text("Payments")
        filled(tab, "By the keyboard")
        tab.dialog.get_by_label("Description").press("Meta+Enter")
        expect(tab.drawer).to_contain_text("By the keyboard")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Name").fill("By the keyboard again")
        tab.dialog.get_by_label("Waits for").press("Control+Enter")
        expect(tab.drawer).to_contain_text("By the keyboard again")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Name").fill("")
        tab.dialog.get_by_label("Name").press("Control+Enter")
        expect(tab.dialog).to_be_visible()
        tab.dialog.get_by_label("Name").press("x")
        tab.dialog.get_by_label("Description").evaluate(
            """(field) => field.dispatchEvent(new KeyboardEvent("keydown", {
                key: "Enter", ctrlKey: true, isComposing: true, bubbles: true,
            }))"""
        )
        expect(tab.dialog).to_be_visible()
    assert (client.get_task(1)["name"], client.get_task(1)["status"]) == ("By the keyboard again", "TODO")


def test_a_task_that_is_created_and_claimed_is_not_given_to_a_waiting_agent(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    with dashboard(service, browser) as tab, ThreadPoolExecutor(1) as threads:
        tab.open()
        body = {"agent_id": "waiter", "wait_seconds": 50}
        waiting = threads.submit(httpx.post, f"{service.url}/api/tasks/claim", json=body, timeout=60, trust_env=False)
        service.wait_until(lambda: client.send("GET", "/api/agents")["items"])
        filled(tab, "Half written")
        tab.page.get_by_test_id("create-and-hold").click()
        expect(tab.page.get_by_test_id("lease")).to_contain_text("(you)")
        held = client.get_task(1)
        assert (held["status"], held["lock"]["holder"], held["lock"]["fence"]) == ("IN_PROGRESS", "local", 1)
        assert not waiting.done()
        tab.page.get_by_test_id("release").click()
        expect(tab.toast("Released #1 Half written to Backlog")).to_be_visible()
        assert not waiting.done()
        filled(tab, "Whole")
        tab.dialog.get_by_label("Name").press("Enter")
        expect(tab.drawer).to_contain_text("Whole")
        assert waiting.result(10).json()["task"]["id"] == 2
        filled(tab, "For later")
        tab.dialog.get_by_label("Status").select_option("BACKLOG")
        expect(tab.dialog).to_contain_text("Agents can claim it only by its id.")
        save(tab)
        expect(tab.card_in("BACKLOG", 3)).to_be_visible()
    assert project == client.get_task(3)["project_id"]


def test_create_and_hold_without_a_name_does_not_affect_the_next_save(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_project()
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        tab.page.get_by_test_id("create-and-hold").click()
        expect(tab.dialog.get_by_label("Name")).to_be_focused()
        tab.dialog.get_by_label("Name").fill("For agents")
        save(tab)
        expect(tab.card_in("TODO", 1)).to_be_visible()
    assert client.get_task(1)["lock"] is None


def test_a_project_shows_its_description_as_markdown(service: Service, browser: Browser, client: RestClient) -> None:
    client.create_project("Move", description="Move **all** of it:\n\n- shop\n- till\n\n## Later\n\n<b>x</b>")
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        shown = tab.page.get_by_test_id("project")
        expect(shown.locator("strong")).to_have_text("all")
        expect(shown.locator("li")).to_have_text(["shop", "till"])
        expect(shown).not_to_contain_text("**")
        expect(shown).to_contain_text("<b>x</b>")
        assert tab.violations() == []


def test_headings_of_a_text_descend_one_level_at_a_time(service: Service, browser: Browser, client: RestClient) -> None:
    text = "## Two\n\n#### Four\n\n##### Five\n\n### Three\n\n# One"
    task = client.create_task(client.create_project(), "Structured", description=text)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        for level, names in ((3, ["Two", "One"]), (4, ["Four", "Three"]), (5, ["Five"])):
            headings = tab.drawer.locator(".markdown").get_by_role("heading", level=level)
            expect(headings).to_have_text(names)
        assert tab.violations() == []


def test_a_project_an_epic_and_a_task_are_created_on_an_empty_server(
    service: Service, browser: Browser, client: RestClient
) -> None:
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        tab.page.get_by_role("button", name="New project").click()
        tab.dialog.get_by_label("Name").fill("Checkout")
        save(tab)
        tab.page.get_by_test_id("project").get_by_role("button", name="Epic", exact=True).click()
        tab.dialog.get_by_label("Name").fill("Payments")
        save(tab)
        expect(tab.page.get_by_test_id("epic")).to_contain_text("Payments")
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Hosted fields")
        tab.dialog.get_by_label("Epic").select_option(label="Payments")
        tab.dialog.get_by_label("Priority").select_option("0")
        tab.dialog.get_by_label("Labels").fill("pci, frontend")
        save(tab)
        expect(tab.drawer).to_contain_text("Hosted fields")
        task = client.get_task(1)
    assert (task["name"], task["priority"], task["labels"]) == ("Hosted fields", 0, ["pci", "frontend"])
    assert (task["epic_id"], task["created_by"]) == (1, "local")


def test_a_task_is_edited_field_by_field_with_its_dependencies(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first, task = (
        client.create_task(project, "Design the schema"),
        client.create_task(project, "Build", external_key="B-1"),
    )
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Done when").fill("Tests pass\nReviewed")
        tab.dialog.get_by_label("Waits for").fill("schema")
        tab.page.keyboard.press("Enter")
        tab.dialog.get_by_label("Estimate in minutes").fill("90")
        save(tab)
        expect(tab.drawer).to_contain_text("1 h 30 min")
        expect(tab.drawer).to_contain_text("Not ready:depends on unfinished task")
    after = client.get_task(task)
    assert after["acceptance"] == ["Tests pass", "Reviewed"]
    assert (after["depends_on"], after["estimate_minutes"], after["external_key"]) == ([first], 90, "B-1")


def test_a_validation_error_of_the_server_is_shown_at_its_field(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Labelled")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Labels").fill("x" * 65)
        save(tab)
        expect(tab.dialog.get_by_label("Labels")).to_have_attribute("aria-invalid", "true")
        expect(tab.dialog.get_by_test_id("form-error")).to_be_visible()
        tab.dialog.get_by_label("Labels").fill("short")
        save(tab)
        expect(tab.dialog).to_have_count(0)
    assert client.get_task(task)["labels"] == ["short"]


def test_a_dependency_cycle_is_refused_with_the_cycle(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    first = client.create_task(project, "First")
    second = client.create_task(project, "Second", depends_on=[first])
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={first}")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Waits for").fill(str(second))
        tab.page.keyboard.press("Enter")
        save(tab)
        expect(tab.dialog.get_by_test_id("form-error")).to_contain_text("cycle")
    assert client.get_task(first)["depends_on"] == []


def test_a_conflicting_edit_is_shown_and_untouched_fields_are_kept(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Shared", priority=3)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        client.send("PATCH", f"/api/tasks/{task}", {"priority": 0})
        tab.dialog.get_by_label("Name").fill("Shared by two")
        save(tab)
        expect(tab.dialog.get_by_test_id("form-error")).to_contain_text("Priority is now: 0")
        save(tab)
        expect(tab.dialog).to_have_count(0)
    after = client.get_task(task)
    assert (after["name"], after["priority"]) == ("Shared by two", 0)


def test_a_task_that_an_agent_claimed_is_edited_after_a_warning(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Held")
    client.claim(task, "claude-7")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        expect(tab.dialog).to_contain_text("claude-7 is working on this task")
        tab.dialog.get_by_label("Name").fill("Held, but renamed")
        save(tab)
        expect(tab.drawer.get_by_role("heading", level=2)).to_have_text("Held, but renamed")
    after = client.get_task(task)
    assert (after["name"], after["lock"]["holder"]) == ("Held, but renamed", "claude-7")


def test_a_rename_reloads_only_the_project_and_archiving_reloads_the_whole_board(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    task = client.create_task(project, "Needed")
    asked: list[str] = []

    def times(tab: Dashboard) -> int:
        """Return the number of board requests, after all pending delays have passed."""
        tab.page.clock.fast_forward(10_000)
        assert tab.page.evaluate("fetch('/healthz').then((answer) => answer.ok)")
        return len([url for url in asked if "/board/state" in url])

    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.page.on("request", lambda request: asked.append(request.url))
        tab.open()
        chosen = tab.page.get_by_test_id("filter-project")
        for archived, name in ((False, "Till"), (True, "Old till")):
            if archived:
                with tab.page.expect_response("**/api/board/state"):
                    client.send("PATCH", f"/api/projects/{project}", {"archived": True})
                expect(tab.card(task)).to_have_count(0)
            before = times(tab)
            client.send("PATCH", f"/api/projects/{project}", {"name": name})
            expect(chosen).to_contain_text(name)
            assert times(tab) == before
        with tab.page.expect_response("**/api/board/state"):
            client.send("PATCH", f"/api/projects/{project}", {"archived": False})
        expect(tab.card(task)).to_contain_text("Ready")


def test_a_project_is_archived_and_restored(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task = client.create_task(project, "Waiting")
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        tab.page.get_by_role("button", name="Archive", exact=True).click()
        expect(tab.page.get_by_test_id("project")).to_contain_text("Archived")
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.page.get_by_test_id("shown")).to_have_text("0 of 1 task")
        tab.page.get_by_test_id("filter-project").select_option(str(project))
        expect(tab.card(task)).to_contain_text("its project is archived")
        tab.page.get_by_test_id("nav-projects").click()
        tab.page.get_by_role("button", name="Unarchive").click()
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.card(task)).to_contain_text("Ready")


def test_a_project_is_deleted_with_its_contents_after_a_warning(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    client.create_task(project, "One")
    client.create_task(project, "Two")
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        tab.page.get_by_role("button", name="Delete project Checkout").click()
        expect(tab.dialog).to_contain_text(
            "2 tasks and their logs are deleted too, including tasks in progress. Its epics and"
        )
        tab.confirm()
        expect(tab.page.get_by_text("No projects yet")).to_be_visible()
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.page.get_by_text("No tasks yet")).to_be_visible()


def test_agents_are_listed_with_their_leases_and_last_activity(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Write the parser")
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        client.claim(task, "claude-7")
        row = tab.page.get_by_test_id("agent").filter(has_text="claude-7")
        expect(row).to_contain_text("Write the parser")
        expect(row).to_contain_text("Working")
        expect(row).to_contain_text("last seen just now")
        tab.page.get_by_test_id("active-agents").get_by_role("button", name="claude-7, 1 held").click()
        expect(tab.card(task)).to_be_visible()
        expect(tab.page).to_have_url(re.compile("holder=claude-7"))


def test_the_activity_view_shows_events_live(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Write the parser")
    with dashboard(service, browser) as tab:
        tab.open("/?view=activity")
        client.claim(task, "claude-7")
        client.set_status(task, "REVIEW", agent_id="claude-7")
        feed = tab.page.get_by_test_id("event")
        expect(feed.nth(2)).to_have_text(re.compile(rf"claude-7\s*claimed\s*#{task}\s*Write the parser"))
        expect(feed.nth(1)).to_contain_text("to Review")
        expect(feed.first).to_contain_text("for review (round 1)")
        tab.page.get_by_role("button", name="Pause").click()
        client.set_status(task, "DONE")
        expect(tab.page.get_by_role("button", name=re.compile(r"Resume \([1-9]"))).to_be_visible()
        expect(feed.first).to_contain_text("for review (round 1)")
        tab.page.get_by_role("button", name="Resume").click()
        expect(feed.first).to_contain_text("to Done")


def test_a_task_that_failed_too_often_needs_a_person_and_can_be_offered_again(
    start_service: Start, browser: Browser
) -> None:
    service = start_service(MAX_ATTEMPTS=1)
    client = RestClient(service)
    task = client.create_task(client.create_project(), "Crashes")
    client.claim(task, "flaky")
    client.release(task, "flaky", failed=True, handoff="Out of memory")
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        group = tab.page.get_by_test_id("need-attempts")
        expect(group).to_contain_text("Out of memory")
        group.get_by_role("button", name="Requeue").click()
        tab.page.get_by_test_id("send-comment").click()
        tab.page.mouse.move(3, 3)
        expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()
    after = client.get_task(task)
    assert (after["status"], after["attempts"], after["ready"]) == ("TODO", 0, True)


def test_a_long_project_description_is_shown_on_request_and_survives_a_rename(
    service: Service, browser: Browser, client: RestClient
) -> None:
    text = "Move the shop. " * 100 + "Then celebrate."
    project = client.create_project("Move", description=text)
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        shown = tab.page.get_by_test_id("project")
        expect(shown).not_to_contain_text("Then celebrate.")
        shown.get_by_role("button", name="Edit project Move").click()
        tab.dialog.get_by_label("Name").fill("Moved")
        tab.dialog.get_by_role("button", name="Save").click()
        expect(tab.toast("Saved")).to_be_visible()
        assert client.send("GET", f"/api/projects/{project}")["description"] == text
        tab.page.reload()
        shown.get_by_role("button", name="Show all of it").click()
        expect(shown).to_contain_text("Then celebrate.")


def test_a_long_task_description_is_complete_in_search_drawer_and_form(
    service: Service, browser: Browser, client: RestClient
) -> None:
    text = "It begins here. " + "And so on. " * 200 + "It ends with zanzibar."
    project = client.create_project()
    long, other = client.create_task(project, "Long", description=text), client.create_task(project, "Other")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("search").fill("zanzibar")
        expect(tab.card(other)).to_have_count(0)
        expect(tab.card(long)).to_be_visible()
        tab.card(long).click()
        expect(tab.drawer).to_contain_text("It ends with zanzibar.")
        tab.open()
        tab.card(long).focus()
        tab.page.keyboard.press("e")
        expect(tab.dialog.get_by_label("Description")).to_have_value(text)
        tab.dialog.get_by_label("Description").fill(f"{text} Really.")
        tab.dialog.get_by_role("button", name="Save").click()
        expect(tab.toast("Saved")).to_be_visible()
        assert client.get_task(long)["description"] == f"{text} Really."


def test_a_task_can_be_created_once_the_projects_are_loaded(
    service: Service, browser: Browser, client: RestClient
) -> None:
    """Without the projects, the page would ask for a first project although one exists."""
    client.create_project("Website")
    held: list[Route] = []
    with dashboard(service, browser) as tab:
        tab.page.route("**/api/board/state", lambda route: held.append(route))
        with tab.page.expect_request("**/api/board/state"):
            tab.page.goto(service.url)
        button = tab.page.get_by_test_id("new-task")
        expect(button).to_be_disabled()
        tab.page.keyboard.press("c")
        expect(tab.dialog).to_have_count(0)
        held[0].continue_()
        button.click()
        expect(tab.dialog.get_by_label("Project")).to_contain_text("Website")
