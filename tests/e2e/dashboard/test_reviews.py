"""Submissions, reviews, evidence and policies on the dashboard."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

EVIDENCE = {"criterion": 0, "command": "pytest -q", "exit_code": 0, "url": "https://ci.example.org/7"}
REVIEWED = {"review": "required", "evidence": "each_criterion"}
LOOKS = [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]


def submit(client: RestClient, task: int, agent: str = "ann", **fields: Any) -> dict[str, Any]:
    """Claim the task, submit its work, and return the submission."""
    fence = client.claim(task, agent)["fence"]
    work = {"summary": "The fence is painted", "branch": "paint", "commit": "0123456789abcdef", **fields}
    body = {"status": "REVIEW", "agent_id": agent, "fence": fence, **work}
    return dict(client.send("POST", f"/api/tasks/{task}/status", body)["submission"])


def give_verdict(client: RestClient, submission: dict[str, Any], verdict: str, agent: str = "bob") -> None:
    body = {"agent_id": agent, "digest": submission["digest"], "verdict": verdict, "body": "Two boards are bare."}
    client.send("POST", f"/api/tasks/{submission['task_id']}/reviews", body)


def newest(client: RestClient, task: int) -> dict[str, Any]:
    """Return the newest submission."""
    return dict(client.send("GET", f"/api/tasks/{task}/submissions")["items"][0])


def row(tab: Dashboard, task: int) -> Locator:
    return tab.page.get_by_test_id("need").filter(has=tab.page.locator(f'[data-task="{task}"]'))


def button(tab: Dashboard, name: str, task: int) -> Locator:
    return tab.page.get_by_role("button", name=f"{name}: #{task} ")


def decide(tab: Dashboard, name: str) -> Locator:
    return tab.page.get_by_test_id("decisions").get_by_role("button", name=name)


@contextmanager
def opened(service: Service, browser: Browser, address: str, **options: Any) -> Iterator[Dashboard]:
    with dashboard(service, browser, **options) as tab:
        yield tab.open(address)


def test_a_key_accepts_no_work_of_a_later_round_than_the_page_shows(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    first = submit(client, task)
    with opened(service, browser, "/?view=needs") as tab:
        expect(row(tab, task)).to_contain_text("The fence is painted")
        give_verdict(client, first, "changes_requested")
        expect(row(tab, task)).to_have_count(0)
        held: list[Route] = []
        tab.page.route("**/api/tasks/*/details*", lambda route: held.append(route))
        submit(client, task, summary="The bare boards are painted too")
        row(tab, task).locator(".need-name").focus()
        tab.page.keyboard.press("a")
        service.wait_until(lambda: tab.page.evaluate("true") and len(held) > 1)
        for route in held:
            route.continue_()
        tab.page.unroute("**/api/tasks/*/details*")
        expect(tab.dialog).to_contain_text("The bare boards are painted too")
        tab.dialog.get_by_role("button", name="Accept").click()
        expect(tab.toast("Accepted #")).to_be_visible()
    assert newest(client, task)["review"]["verdict"] == "approved"


@pytest.mark.parametrize("options", LOOKS)
def test_a_person_sees_a_submission_in_the_list_and_accepts_it(
    service: Service, browser: Browser, client: RestClient, options: dict[str, Any]
) -> None:
    project = client.create_project(policy={"review": "required"})
    task = client.create_task(project, "Paint", acceptance=["The fence is even"])
    submit(client, task, evidence=[EVIDENCE], note="A note for the log")
    with opened(service, browser, "/?view=needs", **options) as tab:
        work = row(tab, task).get_by_test_id("need-submission")
        for text in ("Round 1 by ann", "The fence is painted", "paint", "0123456789abcdef"):
            expect(work).to_contain_text(text)
        expect(work).to_contain_text(re.compile(r"Evidence\s*1"))
        assert tab.violations() == []
        assert wider(tab) == []
        button(tab, "Accept", task).click()
        expect(tab.toast(f"Accepted #{task} Paint")).to_be_visible()
    found = newest(client, task)["review"]
    assert (found["verdict"], found["reviewer"]) == ("approved", "local")
    assert client.get_task(task)["completed_by"] == "review"


def test_the_newest_evidence_is_shown_in_words(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Paint", acceptance=["even"])
    submit(client, task, evidence=[EVIDENCE])
    with opened(service, browser, "/?view=needs") as tab:
        words = row(tab, task).get_by_test_id("latest-log-entry")
        expect(words).to_contain_text("Evidence: pytest -q (exit code 0), https://ci.example.org/7")


@contextmanager
def accepted_unseen(service: Service, browser: Browser, task: int) -> Iterator[Dashboard]:
    """Press Accept on a page that could not read the details of the task before, and yield it."""
    with dashboard(service, browser) as tab:
        tab.page.route("**/details?*", lambda route: route.abort())
        tab.open("/?view=needs")
        button(tab, "Accept", task).click()
        expect(tab.toast("The server cannot be reached.")).to_be_visible()
        tab.page.unroute("**/details?*")
        button(tab, "Accept", task).click()
        yield tab


def test_work_that_the_page_could_not_read_is_shown_before_it_is_accepted(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    submit(client, task)
    with accepted_unseen(service, browser, task) as tab:
        expect(tab.dialog).to_contain_text("round 1 by ann, commit 0123456789ab. The fence is painted")
        tab.confirm()
        expect(tab.toast(f"Accepted #{task} Paint")).to_be_visible()
    assert newest(client, task)["review"]["verdict"] == "approved"


def test_own_work_that_the_page_could_not_read_is_done_without_a_question(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    client.set_status(task, "REVIEW")
    with accepted_unseen(service, browser, task) as tab:
        expect(tab.toast(f"Moved #{task} Paint to Done")).to_be_visible()
    assert client.get_task(task)["status"] == "DONE"


def test_work_is_sent_back_to_its_author_by_keyboard(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Paint")
    submit(client, task)
    with opened(service, browser, "/?view=needs") as tab:
        expect(row(tab, task).get_by_test_id("need-submission")).to_be_visible()
        button(tab, "Send back", task).focus()
        tab.page.keyboard.press("Enter")
        tab.page.keyboard.press("Enter")
        expect(tab.dialog.get_by_role("alert")).to_contain_text("Enter what is missing")
        tab.page.keyboard.type(" ")
        expect(tab.dialog).to_contain_text("It is the text of the review.")
        tab.page.keyboard.press("Backspace")
        tab.page.keyboard.type("Two boards are bare.")
        tab.page.keyboard.press("Enter")
        expect(tab.toast(f"Sent back #{task} Paint to To do")).to_be_visible()
        assert newest(client, task)["review"]["body"] == "Two boards are bare."
        tab.open(f"/?task={task}")
        expect(tab.page.get_by_test_id("offer")).to_contain_text("Offered to ann until")
        expect(tab.page.get_by_test_id("verdict")).to_contain_text("Changes requested by local (without a token)")
        client.claim(task, "ann")
        expect(tab.page.get_by_test_id("offer")).to_have_count(0)


def test_a_verdict_on_work_that_another_reviewer_has_judged_is_refused_in_words(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(policy=REVIEWED), "Paint", acceptance=["even"])
    submission = submit(client, task)

    def overtaken(route: Route) -> None:
        """Give the other verdict after the press and before its request, so that the page cannot know it earlier."""
        give_verdict(client, submission, "approved")
        route.continue_()

    with opened(service, browser, "/?view=needs") as tab:
        expect(row(tab, task).get_by_test_id("need-submission")).to_be_visible()
        tab.page.route("**/reviews", overtaken)
        button(tab, "Accept", task).click()
        expect(tab.toast("was reviewed by bob: approved")).to_contain_text("The first verdict counts")
        expect(row(tab, task).get_by_test_id("verdict")).to_contain_text("Approved by bob (agent)")
        expect(row(tab, task)).to_contain_text("evidence for criterion 0: even")
    assert newest(client, task)["review"]["reviewer"] == "bob"


def test_an_approval_of_work_without_its_evidence_says_what_is_missing(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(policy=REVIEWED), "Paint", acceptance=["even", "white"])
    submit(client, task, evidence=[EVIDENCE])
    with opened(service, browser, f"/?task={task}") as tab:
        expect(tab.page.get_by_test_id("missing")).to_contain_text("evidence for criterion 1: white")
        decide(tab, "Accept").click()
        expect(tab.toast(f"Approved #{task} Paint, which is not done yet")).to_contain_text("criterion 1: white")
        expect(tab.page.get_by_test_id("verdict")).to_contain_text("Approved by local (without a token)")
        decide(tab, "Accept").click()
        expect(tab.dialog).to_contain_text("evidence for criterion 1: white")
        assert tab.violations() == []
        tab.dialog.get_by_role("button", name="Cancel").click()
        assert client.get_task(task)["status"] == "REVIEW"
        decide(tab, "Accept").click()
        tab.page.get_by_role("button", name="Set Done anyway").click()
        expect(tab.page.get_by_test_id("verified")).to_have_text("not verified: set by an operator")
    assert client.get_task(task)["completed_by"] == "force"


def test_a_move_to_done_that_the_policy_forbids_also_asks_when_it_ends_a_lease(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(policy=REVIEWED), "Paint", acceptance=["even"])
    client.claim(task, "ann")
    with opened(service, browser, f"/?task={task}") as tab:
        tab.page.get_by_test_id("move").select_option("DONE")
        tab.confirm()
        expect(tab.dialog).to_contain_text("approval by another agent or a person")
        tab.page.keyboard.press("Escape")
        expect(tab.dialog).to_have_count(0)
    assert client.get_task(task)["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("options", LOOKS)
def test_a_task_shows_its_evidence_by_criterion_and_its_earlier_rounds(
    service: Service, browser: Browser, client: RestClient, options: dict[str, Any]
) -> None:
    task = client.create_task(client.create_project(policy=REVIEWED), "Paint", acceptance=["even", "white"])
    give_verdict(client, submit(client, task, summary="The first attempt", branch="paint-1"), "changes_requested")
    client.send("PATCH", f"/api/tasks/{task}", {"description": "Two coats", "acceptance": ["quite even", "white"]})
    failed = {"criterion": 1, "command": "colour --check", "exit_code": 2}
    submit(client, task, evidence=[EVIDENCE, failed, {"body": "Looks good"}])
    with opened(service, browser, f"/?task={task}", **options) as tab:
        items = tab.page.get_by_test_id("criteria").get_by_test_id("evidence")
        expect(items).to_have_count(2)
        for text in ("ann", "counts", "Reported by ann", "pytest -q"):
            expect(items.first).to_contain_text(text)
        expect(items.first.get_by_role("link")).to_have_attribute("href", "https://ci.example.org/7")
        expect(items.last).to_contain_text("does not count")
        expect(items.last).to_contain_text("2 (failed)")
        expect(tab.page.get_by_test_id("evidence-of-task").get_by_test_id("evidence")).to_have_count(1)
        logged = tab.page.get_by_test_id("log-entry").filter(has_text="colour --check")
        expect(logged.get_by_text("white", exact=True)).to_be_visible()
        tab.page.get_by_text("Changed since round 1").press("Enter")
        changes = tab.page.get_by_test_id("changes")
        expect(changes).to_contain_text("Two coats")
        expect(changes).to_contain_text("first attempt")
        expect(changes).not_to_contain_text("Commit")
        expect(changes.locator("del").filter(has_text="1")).to_have_count(1)
        expect(changes.locator("ins").filter(has_text="quite")).to_have_count(1)
        expect(changes).to_contain_text("1. Reported by ann, pytest -q (exit code 0)")
        tab.page.get_by_test_id("rounds").get_by_text("Earlier rounds").press("Enter")
        rounds = tab.page.get_by_test_id("rounds")
        expect(rounds).to_contain_text("The first attempt")
        expect(rounds).to_contain_text("Two boards are bare.")
        assert tab.violations() == []
        assert wider(tab) == []


def test_the_url_of_evidence_is_a_link_only_to_the_web(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Paint", acceptance=["even"])
    submit(client, task, evidence=[EVIDENCE])
    unsafe = "javascript:alert(1)"

    def forge(route: Route) -> None:
        route.fulfill(body=route.fetch().text().replace(str(EVIDENCE["url"]), unsafe))

    with dashboard(service, browser) as tab:
        tab.page.route("**/details*", forge)
        tab.open(f"/?task={task}")
        shown = tab.page.get_by_test_id("criteria").get_by_test_id("evidence")
        expect(shown).to_contain_text(unsafe)
        expect(shown.get_by_role("link")).to_have_count(0)


def test_a_task_with_a_reviewer_says_so_and_a_changed_task_has_no_present_submission(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    submit(client, task)
    client.send("POST", "/api/tasks/claim", {"agent_id": "bob", "kind": "review"})
    with opened(service, browser, f"/?task={task}") as tab:
        expect(tab.page.get_by_test_id("lease")).to_contain_text("bob is reviewing")
        expect(tab.page.get_by_test_id("submission")).to_be_visible()
        decide(tab, "Accept").click()
        expect(tab.dialog).to_contain_text("bob is reviewing this")
        tab.page.keyboard.press("Escape")
        client.release(task, "bob", force=True)
        client.send("PATCH", f"/api/tasks/{task}", {"name": "Paint twice"})
        expect(tab.page.get_by_test_id("superseded")).to_be_visible()
    assert client.get_task(task)["status"] == "REVIEW"


def test_a_task_with_too_many_rounds_asks_for_a_decision(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project(policy={"review": "required", "max_review_rounds": 2})
    task = client.create_task(project, "Paint")
    with opened(service, browser, "/?view=needs") as tab:
        for _ in range(2):
            give_verdict(client, submit(client, task), "changes_requested")
        group = tab.page.get_by_test_id("need-rounds")
        expect(group).to_contain_text("Changes requested twice; decide")
        expect(tab.page.get_by_test_id("need-attempts")).to_have_count(0)
        expect(button(tab, "Mark done", task)).to_be_visible()
        tab.open(f"/?task={task}")
        expect(tab.page.get_by_test_id("rounds-reached")).to_have_text("Changes requested twice; decide")


@pytest.mark.parametrize("options", LOOKS)
def test_an_operator_changes_the_policy_of_a_project(
    service: Service, browser: Browser, client: RestClient, options: dict[str, Any]
) -> None:
    project = client.create_project()
    with opened(service, browser, "/?view=projects", **options) as tab:
        policy = tab.page.get_by_test_id("policy")
        expect(policy).to_contain_text("none")
        tab.page.get_by_test_id("edit-policy").click()
        tab.page.get_by_label("Review", exact=True).select_option("required")
        tab.page.get_by_label("Reviewer").select_option("person")
        tab.page.get_by_label("Evidence").select_option("each_criterion")
        tab.page.get_by_label("Requests for changes").fill("5")
        tab.page.get_by_label("A merge completes the task").select_option("yes")
        tab.page.get_by_label("Checks").fill("lint, tests")
        assert tab.violations() == []
        assert wider(tab) == []
        tab.page.get_by_test_id("save").click()
        expect(policy).to_contain_text("review by a person, at most 5 requests for changes")
        expect(policy).to_contain_text("checks: lint, tests")
    assert client.send("GET", f"/api/projects/{project}")["policy"] == {
        "review": "required",
        "reviewer": "person",
        "evidence": "each_criterion",
        "max_review_rounds": 5,
        "merge_completes": True,
        "checks": ["lint", "tests"],
    }
