"""Texts of the dashboard are correct and written for people."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from project_manager.domain.events.event_types import EVENT_TYPES
from tests.e2e.command_line import CommandLine
from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service

Start = Callable[..., Service]
FOR_PROGRAMS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
TASK, PLAN = {"task_id": 7, "project_id": 1}, {"project_id": 1}
TOKEN = {"id": 1, "name": "ci", "role": "agent", "agent_id": "ada"}
EVENTS: list[tuple[str, dict[str, object], str]] = [
    ("project.created", {**PLAN, "name": "Checkout"}, "ada created the project Checkout"),
    ("project.updated", {**PLAN, "name": "Checkout", "changed": []}, "ada updated the project Checkout"),
    ("project.archived", {**PLAN, "name": "Checkout", "changed": []}, "ada archived the project Checkout"),
    ("project.deleted", {**PLAN, "name": "Checkout"}, "ada deleted the project Checkout"),
    ("epic.created", {**PLAN, "epic_id": 2, "name": "Payments"}, "ada created the epic Payments"),
    ("epic.updated", {**PLAN, "epic_id": 2, "name": "Payments"}, "ada updated the epic Payments"),
    ("epic.deleted", {**PLAN, "epic_id": 2, "name": "Payments"}, "ada deleted the epic Payments"),
    ("task.created", {**TASK, "name": "Parser"}, "ada created #7 Parser"),
    ("task.updated", {**TASK, "changes": {"priority": 0}}, "ada changed #7 (priority)"),
    ("task.status_changed", {**TASK, "status": "REVIEW"}, "ada moved #7 to Review"),
    ("task.locked", {**TASK, "agent_id": "bob"}, "bob claimed #7"),
    ("task.unlocked", {**TASK, "agent_id": "bob", "reason": "explicit_release"}, "bob released #7"),
    ("task.deleted", {**TASK, "name": "Parser"}, "ada deleted #7 Parser"),
    ("task.logged", {**TASK, "author": "bob", "kind": "comment"}, "bob commented on #7"),
    ("task.ready", {**TASK}, "#7 is ready now"),
    ("task.not_ready", {**TASK}, "#7 is no longer ready"),
    ("task.submitted", {**TASK, "author": "bob", "round": 2}, "bob submitted #7 for review (round 2)"),
    ("task.reviewed", {**TASK, "reviewer": "cid", "verdict": "changes_requested"}, "cid requested changes to #7"),
    (
        "task.reviewed",
        {**TASK, "reviewer": "cid", "verdict": "approved", "missing": ["evidence"]},
        "cid approved #7 (missing: evidence)",
    ),
    ("task.offered", {**TASK, "agent_id": "bob", "reason": "rework"}, "ada offered #7 to bob"),
    ("task.offer_ended", {**TASK, "agent_id": "bob"}, "ada ended the offer of #7 to bob"),
    ("task.question_asked", {**TASK, "asker": "ada"}, "ada asked a question about #7"),
    ("task.question_answered", {**TASK, "asker": "bob"}, "ada answered a question about #7"),
    ("task.question_closed", {**TASK, "asker": "bob"}, "ada closed a question about #7"),
    ("message.sent", {"kind": "steer", "sender": "ada", "agent_id": "bob"}, "ada sent a steer to bob"),
    ("message.delivered", {"kind": "note", "sender": "bob", "agent_id": "ada"}, "ada got a note from bob"),
    ("message.acknowledged", {"kind": "stop", "sender": "bob", "agent_id": "ada"}, "ada acknowledged a stop from bob"),
    ("message.expired", {"kind": "note", "sender": "bob", "agent_id": "cid"}, "ada found a note to cid expired"),
    ("knowledge.created", {**PLAN, "title": "Rounding"}, "ada created the knowledge item Rounding"),
    ("knowledge.updated", {**PLAN, "epic_id": 2, "title": "Rounding"}, "ada updated the knowledge item Rounding"),
    ("knowledge.logged", {"title": "Rounding"}, "ada added a log entry to the knowledge item Rounding"),
    ("assumption.recorded", {**TASK, "author": "ada"}, "ada recorded an assumption about #7"),
    ("assumption.validated", {**TASK, "verdict": "partial"}, "ada validated in part an assumption about #7"),
    ("assumption.validated", {**TASK, "verdict": "rejected"}, "ada rejected an assumption about #7"),
    ("pause.started", {"scope": "all", "reason": "Broken"}, "ada paused all work (Broken)"),
    ("pause.ended", {**TASK, "scope": "task"}, "ada resumed #7"),
    ("view.saved", {"view_id": 3, "name": "Overdue"}, "ada saved the view Overdue"),
    ("view.deleted", {"view_id": 3, "name": "Overdue"}, "ada deleted the saved view Overdue"),
    ("import.finished", {**PLAN, "source": "plan.yaml"}, "ada imported a plan"),
    ("database.restored", {}, "ada restored the database to an earlier state"),
    ("token.created", {"token": TOKEN}, "ada created the token ci (agent bound to ada)"),
    ("token.revoked", {"token": TOKEN}, "ada revoked the token ci (agent bound to ada)"),
    ("tokens.cleared", {"tokens": 3}, "ada cleared all tokens"),
    ("robot.painted", {}, "ada caused robot.painted"),
    ("task.painted", {**TASK}, "ada caused task.painted of #7"),
]


@pytest.fixture(scope="module")
def other(shared_client: RestClient) -> int:
    return shared_client.create_task(shared_client.create_project("Elsewhere"), "Something else")


@pytest.fixture(scope="module")
def wanted(shared_client: RestClient, other: int) -> int:
    """Create task 2 with a value in every field that the search covers."""
    fields = {"external_key": "SHOP-117", "description": "Half of the cents vanish", "labels": ["urgent-label"]}
    task = shared_client.create_task(shared_client.create_project(), "Rounding error", **fields)
    shared_client.claim(task, "codex-3", 3000)
    return task


def back_up_and_restore(service: Service, folder: Path) -> None:
    cli = CommandLine(folder)
    cli.says("backup", "kept.db", "--db-path", str(service.database))
    service.stop()
    cli.says("restore", "kept.db", "--db-path", str(service.database))
    service.start()


def test_the_badge_shows_the_number_of_tasks_that_cannot_continue_without_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    for status in ("REVIEW", "BLOCKED", "IN_PROGRESS"):
        client.set_status(client.create_task(project, status), status, note="Please look")
    lost = client.create_task(project, "Lost")
    client.claim(lost, "flaky")
    client.release(lost, "flaky", failed=True)
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        expect(tab.page.get_by_test_id("need")).to_have_count(4)
        expect(tab.page.get_by_test_id("nav-needs").locator(".badge")).to_have_text("3")


def test_a_task_that_needs_a_person_shows_its_last_log_entry_in_plain_text(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    stuck, lost = client.create_task(project, "Stuck one"), client.create_task(project, "Lost one")
    client.set_status(
        stuck, "BLOCKED", note="**Stuck** on `parse`, see [this](https://example.org/a)\n\n- [ ] ask\n> a_b_c"
    )
    client.claim(lost, "flaky")
    client.add_log(lost, "Got to line 40", agent_id="flaky")
    client.release(lost, "flaky", failed=True)
    silent = client.create_task(project, "Silent one")
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        word = tab.page.get_by_test_id("need-blocked").get_by_test_id("latest-log-entry")
        expect(word).to_contain_text("Stuck on parse, see this ask a_b_c")
        row = tab.page.get_by_test_id("need-lost").get_by_test_id("need")
        expect(row.filter(has_text="Lost one").get_by_test_id("latest-log-entry")).to_contain_text("Got to line 40")
        client.claim(silent, "gone", 1)
        expect(row.filter(has_text="Silent one").get_by_test_id("latest-log-entry")).to_contain_text("gone")
        client.add_log(lost, "Now at line 50")
        expect(row.filter(has_text="Lost one").get_by_test_id("latest-log-entry")).to_contain_text("Now at line 50")


def test_a_lease_that_a_restore_ended_gives_the_restore_as_the_reason(
    start_service: Start, browser: Browser, tmp_path: Path
) -> None:
    service = start_service()
    client = RestClient(service)
    task = client.create_task(client.create_project(), "Held over a restore")
    client.claim(task, "heir")
    back_up_and_restore(service, tmp_path)
    with dashboard(service, browser) as tab:
        tab.open("/?view=activity")
        lost = tab.page.get_by_test_id("event").filter(has_text="lost")
        expect(lost).to_contain_text("because the database was restored")


def test_a_lease_that_a_person_ended_names_the_person(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Taken away")
    client.claim(task, "heir")
    client.send("DELETE", f"/api/tasks/{task}/lock", {"force": True})
    with dashboard(service, browser) as tab:
        tab.open("/?view=activity")
        lost = tab.page.get_by_test_id("event").filter(has_text="lost")
        expect(lost).to_contain_text("because local ended the lease")
        expect(lost.get_by_role("img", name="agent")).to_be_visible()


def test_a_human_lease_holder_is_shown_as_human(start_service: Start, browser: Browser, tmp_path: Path) -> None:
    service = start_service()
    client = RestClient(service)
    task = client.create_task(client.create_project(), "Held by hand")
    client.send("POST", f"/api/tasks/{task}/lock", {})
    back_up_and_restore(service, tmp_path)
    with dashboard(service, browser) as tab:
        for address in ("/?view=activity", f"/?task={task}"):
            tab.open(address)
            if "task" in address:
                tab.page.get_by_role("tab", name="History").click()
            lost = tab.page.get_by_test_id("event").filter(has_text="lost")
            expect(lost.get_by_role("img", name="human")).to_be_visible()
            expect(lost.get_by_role("img", name="agent")).to_have_count(0)


def test_each_event_is_shown_as_a_sentence(service: Service, browser: Browser, client: RestClient) -> None:
    client.create_project()
    envelope = {"timestamp": "2026-01-01T00:00:00Z", "actor": {"id": "ada", "kind": "agent"}}
    unset = {"project_id": None, "epic_id": None, "task_id": None}
    items = [
        {"seq": -1 - 2 * at, "type": kind, **envelope, **unset, **rest} for at, (kind, rest, _) in enumerate(EVENTS)
    ]
    with dashboard(service, browser) as tab:
        tab.page.route("**/api/events?*", lambda route: route.fulfill(json={"items": items[::-1]}))
        tab.open("/?view=activity")
        tab.page.get_by_label("Kind of event").select_option("all")
        shown = tab.page.get_by_test_id("event").locator("p")
        expect(shown).to_have_count(len(EVENTS))
        # The parts of a sentence are elements, and the space between them is a gap of the layout.
        texts = [re.sub(r"[\s\u2068\u2069]", "", text) for text in shown.all_text_contents()]
    assert texts == [sentence.replace(" ", "") for _, _, sentence in EVENTS]
    assert {kind for kind, _, _ in EVENTS} >= set(EVENT_TYPES)


@pytest.mark.parametrize(("part", "button"), [("project", "Show all projects"), ("epic", "Show all epics")])
@pytest.mark.parametrize("view", ["board", "needs", "activity", "graph"])
def test_a_link_to_an_unknown_project_or_epic_explains_it_and_offers_a_way_back(
    shared: Service, browser: Browser, other: int, part: str, button: str, view: str
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open(f"/?view={view}&{part}=777")
        expect(tab.page.get_by_test_id("not-found")).to_contain_text(f"{part.capitalize()} not found")
        if part == "project":
            expect(tab.page.get_by_test_id("filter-project").locator("option:checked")).to_have_text("Unknown project")
        assert tab.violations() == []
        tab.page.get_by_role("button", name=button).click()
        expect(tab.page.get_by_test_id("not-found")).to_have_count(0)
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.card(other)).to_be_visible()


def test_a_project_that_is_deleted_while_shown_is_reported_as_missing(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    client.create_task(project, "Doomed")
    with dashboard(service, browser) as tab:
        tab.open(f"/?project={project}")
        client.send("DELETE", f"/api/projects/{project}", {"force": True})
        expect(tab.page.get_by_test_id("not-found")).to_contain_text("Project not found")


def test_a_link_to_a_deleted_task_gets_an_explanation_in_plain_words(
    shared: Service, browser: Browser, other: int
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open("/?task=99999")
        expect(tab.drawer).to_contain_text("Task #99999 not found")
        expect(tab.drawer).to_contain_text("deleted, or the link is wrong")
        assert "/api/" not in tab.drawer.inner_text()
        tab.drawer.get_by_role("button", name="Close", exact=True).click()
        expect(tab.drawer).to_have_count(0)
        expect(tab.card(other)).to_be_visible()


@pytest.mark.parametrize("words", ["shop-117", "#2", "rounding", "urgent-label", "half cents", "codex-3"])
def test_the_search_finds_a_task_by_every_documented_field(
    shared: Service, browser: Browser, other: int, wanted: int, words: str
) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("search").fill(words)
        expect(tab.card(other)).to_have_count(0)
        expect(tab.card(wanted)).to_be_visible()


def test_the_knowledge_and_the_assumptions_of_a_project_can_be_read(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project, bare = client.create_project(), client.create_project("Nothing known")
    task, plain = client.create_task(project, "Write the parser"), client.create_task(bare, "Plain")
    about = {"file_path": "src/parse.py", "line_number": 12, "code_snippet": "x = 1"}
    noted = client.send("POST", f"/api/tasks/{task}/assumptions", {"text": "#ASSUMPTION: ids are unique", **about})
    verdict = {"verdict": "rejected", "reason": "They **repeat** in March"}
    known = {"project_id": project, "title": "Use half-even", "content": "Round **half-even**.", "category": "rule"}
    client.send("PUT", "/api/knowledge", known)
    with dashboard(service, browser, viewport={"width": 1280, "height": 900}) as tab:
        tab.open(f"/?task={task}")
        assumptions = tab.page.get_by_test_id("assumptions")
        expect(assumptions).to_contain_text("ids are unique")
        expect(assumptions).to_contain_text("src/parse.py:12")
        expect(assumptions).to_contain_text("No verdict yet.")
        client.send("POST", f"/api/tasks/{task}/assumptions/{noted['ra_tag_id']}/verdicts", verdict)
        tab.page.reload()
        expect(assumptions).to_contain_text("does not hold")
        expect(assumptions.locator("strong")).to_have_text("repeat")
        for address in (f"/?task={task}", "/?view=projects"):
            tab.open(address)
            expect(tab.page.get_by_test_id("knowledge-section")).to_have_count(1)
            tab.page.get_by_text("Known: 1 item").click()
            tab.page.get_by_text("Use half-even").click()
            expect(tab.page.get_by_test_id("knowledge").locator("strong")).to_have_text("half-even")
            assert (address, tab.violations()) == (address, [])
        tab.open(f"/?task={plain}")
        expect(tab.drawer).to_contain_text("No log entries yet")
        expect(assumptions.or_(tab.page.get_by_test_id("knowledge-section"))).to_have_count(0)


def test_long_knowledge_is_shown_completely_on_request(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    task = client.create_task(project, "Write the parser")
    for number in range(10):
        content = "It is so. " * 6_000 + f"The end of {number}."
        client.send("PUT", "/api/knowledge", {"project_id": project, "title": f"Item {number}", "content": content})
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_text("Known: 10 items").click()
        item = tab.page.get_by_test_id("knowledge").filter(has_text="Item 9")
        item.locator("summary").click()
        expect(item).not_to_contain_text("The end of 9.")
        item.get_by_role("button", name="Show all of it").click()
        expect(item).to_contain_text("The end of 9.")


def test_a_log_that_fails_to_load_is_not_shown_as_empty(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Talkative")
    client.add_log(task, "Here I am")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.route("**/details*", lambda route: route.abort())
        tab.card(task).click()
        expect(tab.drawer).to_contain_text("The log could not be read.")
        expect(tab.drawer).not_to_contain_text("No log entries yet")
        tab.page.unroute("**/details*")
        tab.drawer.get_by_role("button", name="Try again").click()
        expect(tab.page.get_by_test_id("log-entry")).to_contain_text("Here I am")


def test_a_time_is_shown_once_and_in_a_local_format(service: Service, browser: Browser, client: RestClient) -> None:
    dates = {"due_at": "2098-03-04T05:06:00Z", "defer_until": "2097-03-04T05:06:00Z"}
    task = client.create_task(client.create_project(), "Later", **dates)
    silent = client.create_task(client.create_project("Elsewhere"), "Silent one")
    client.send("PATCH", f"/api/tasks/{task}", {"due_at": "2099-03-04T05:06:00Z"})
    client.claim(silent, "gone", 1)
    with dashboard(service, browser, locale="en-GB", timezone_id="UTC") as tab:
        tab.open(f"/?task={task}")
        body = tab.page.locator("body")
        expect(tab.card(task)).to_contain_text("deferred until 4 Mar 2097, 05:06")
        expect(tab.drawer.locator(".readiness")).to_contain_text("deferred until 4 Mar 2097, 05:06")
        for name, at, day in (
            ("Due", "4 Mar 2099, 05:06", "4 Mar 2099"),
            ("Not before", "4 Mar 2097, 05:06", "4 Mar 2097"),
        ):
            fact = tab.drawer.locator(".facts > div").filter(has=tab.page.get_by_text(name, exact=True)).locator("dd")
            expect(fact).to_have_text(day)
            expect(fact.locator("time")).to_have_attribute("title", at)
        tab.page.get_by_role("tab", name="History").click()
        tab.page.get_by_test_id("event").first.get_by_role("button", name="Fields of this event").click()
        expect(tab.page.locator(".event-fields")).to_contain_text("4 Mar 2098, 05:06 → 4 Mar 2099, 05:06")
        expect(body).not_to_contain_text(FOR_PROGRAMS)
        tab.page.get_by_test_id("edit").click()
        client.send("PATCH", f"/api/tasks/{task}", {"due_at": "2096-03-04T05:06:00Z"})
        tab.dialog.get_by_label("Name").fill("Much later")
        tab.page.get_by_test_id("save").click()
        expect(tab.page.get_by_test_id("form-error")).to_contain_text("Due is now: 4 Mar 2096, 05:06")
        for address in (f"/?task={silent}", "/?view=needs"):
            tab.open(address)
            expect(body).to_contain_text("of gone (fence 1) expired at")
            expect(body).not_to_contain_text(FOR_PROGRAMS)


def test_times_in_text_from_users_are_not_reformatted(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Quoted", description="Seen at 2020-03-04T05:06:00Z")
    client.add_log(task, "Again at 2021-03-04T05:06:00Z", agent_id="claude-7")
    client.send("PATCH", f"/api/tasks/{task}", {"description": "Seen at 2022-03-04T05:06:00Z"})
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        expect(tab.drawer).to_contain_text("Seen at 2022-03-04T05:06:00Z")
        expect(tab.page.get_by_test_id("log-entry")).to_contain_text("Again at 2021-03-04T05:06:00Z")
        tab.page.get_by_role("tab", name="History").click()
        tab.page.get_by_test_id("event").first.get_by_role("button", name="Fields of this event").click()
        expect(tab.page.locator(".event-fields")).to_contain_text("2020-03-04T05:06:00Z → Seen at 2022-03-04T05:06:00Z")


def test_expired_leases_and_failed_releases_both_count_as_attempts(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Both")
    with dashboard(service, browser) as tab:
        tab.open()
        client.claim(task, "flaky")
        client.release(task, "flaky", failed=True)
        expect(tab.card_in("TODO", task).get_by_test_id("attempts")).to_have_text("tried once")
        client.claim(task, "gone", 1)
        expect(tab.card_in("TODO", task).get_by_test_id("attempts")).to_have_text("tried twice")
        tab.open(f"/?task={task}")
        expect(tab.drawer.get_by_test_id("attempts")).to_have_text("tried twice")
        tab.open("/?view=needs")
        expect(tab.page.get_by_test_id("need").get_by_test_id("attempts")).to_have_text("tried twice")


def test_the_history_of_a_task_is_complete_and_starts_with_the_newest_event(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Much done")
    for number in range(600):
        client.add_log(task, f"Step {number}")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_role("tab", name="History").click()
        rows = tab.page.get_by_test_id("history").get_by_test_id("event")
        expect(rows).to_have_count(601)
        expect(rows.last).to_contain_text("created")
