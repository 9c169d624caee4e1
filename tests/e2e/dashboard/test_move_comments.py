"""Comments that a person gives with a verdict or a move."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.needs_list import button, needs, review
from tests.e2e.service import Service


def newest(client: RestClient, task: int) -> tuple[str, str]:
    """Return the author and the text of the last log entry."""
    entry = max(client.send("GET", f"/api/tasks/{task}/details")["logs"], key=lambda log: int(log["id"]))
    return str(entry["author"]), str(entry["body"])


def test_a_task_is_sent_back_with_a_comment_that_gives_the_reason(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = review(client, client.create_project(), "Halfway")
    with needs(service, browser) as tab:
        button(tab, "Send back", task).click()
        tab.page.keyboard.press("Enter")
        expect(tab.dialog.get_by_role("alert")).to_contain_text("Enter what is missing")
        expect(tab.page.get_by_test_id("move-comment")).to_be_focused()
        tab.page.keyboard.type("The tests ")
        tab.page.keyboard.press("Escape")
        expect(tab.dialog).to_have_count(0)
        assert client.get_task(task)["status"] == "REVIEW"
        button(tab, "Send back", task).click()
        expect(tab.page.get_by_test_id("move-comment")).to_have_value("The tests ")
        tab.page.get_by_test_id("move-comment").press("End")
        client.add_log(task, "One more thing", agent_id="codex-3")
        expect(tab.dialog.get_by_test_id("latest-log-entry")).to_contain_text("One more thing")
        tab.page.keyboard.type("are missing")
        tab.page.keyboard.press("Control+Enter")
        service.wait_until(lambda: client.get_task(task)["status"] == "TODO")
    verdict = client.send("GET", f"/api/tasks/{task}/submissions")["items"][0]["review"]
    assert (verdict["verdict"], verdict["reviewer"], verdict["body"]) == (
        "changes_requested",
        "local",
        "The tests are missing",
    )


def test_the_comment_is_optional_when_a_task_is_unblocked(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    silent, answered = client.create_task(project, "Silent"), client.create_task(project, "Answered")
    for task in (silent, answered):
        client.set_status(task, "BLOCKED", note="How?")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={silent}")
        tab.page.get_by_test_id("decisions").get_by_role("button", name="Unblock").click()
        tab.page.get_by_test_id("send-comment").click()
        expect(tab.card_in("TODO", silent)).to_be_visible()
        service.wait_until(lambda: client.get_task(silent)["status"] == "TODO")
        assert newest(client, silent) == ("local", "How?")
        tab.open(f"/?task={answered}")
        tab.page.get_by_test_id("move").select_option("TODO")
        tab.page.get_by_test_id("move-comment").fill("Like this")
        tab.page.get_by_test_id("move-comment").press("Enter")
        expect(tab.card_in("TODO", answered)).to_be_visible()
        service.wait_until(lambda: newest(client, answered) == ("local", "Like this"))


def test_enter_of_an_input_method_does_not_submit(service: Service, browser: Browser, client: RestClient) -> None:
    task = review(client, client.create_project(), "Composed")
    with needs(service, browser) as tab:
        button(tab, "Send back", task).click()
        line = tab.page.get_by_test_id("move-comment")
        line.fill("テスト")
        line.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True})
        expect(line).to_have_value("テスト")
        assert client.get_task(task)["status"] == "REVIEW"


def test_dragging_a_task_out_of_review_asks_for_a_comment(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = review(client, client.create_project(), "Dragged")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.card(task).drag_to(tab.column("TODO"))
        tab.page.get_by_test_id("move-comment").fill("Again, please")
        tab.page.get_by_test_id("send-comment").click()
        expect(tab.card_in("TODO", task)).to_be_visible()
        service.wait_until(lambda: newest(client, task) == ("local", "Again, please"))
