"""The page of a task: live information comes first, and a reviewer can accept the work."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service

LOG_PAGE = 50


def test_the_log_comes_before_a_description_that_is_folded(
    service: Service, browser: Browser, client: RestClient
) -> None:
    lines = "\n\n".join(f"Line {number}" for number in range(60))
    task = client.create_task(client.create_project(), "Long", description=lines)
    for number in range(5):
        client.add_log(task, f"Step {number}", agent_id="claude-7")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        entries = tab.page.get_by_test_id("log-entry")
        expect(entries).to_have_count(3)
        expect(entries.first).to_contain_text("Step 4")
        expect(entries.first).to_be_in_viewport()
        description = tab.page.get_by_test_id("description")
        expect(description.get_by_role("heading", name="Description")).to_be_in_viewport()
        expect(description.get_by_text("Line 0", exact=True)).to_be_in_viewport()
        expect(description.get_by_role("button", name="Show all")).to_be_visible()
        log, text = entries.first.bounding_box(), description.bounding_box()
        assert log is not None
        assert text is not None
        assert log["y"] < text["y"]
        folded = text["height"]
        description.get_by_role("button", name="Show all").click()
        expect(description.get_by_role("button", name="Show less")).to_be_visible()
        whole = description.bounding_box()
        assert whole is not None
        assert 2 * folded < whole["height"]
        tab.page.get_by_test_id("log-more").click()
        expect(entries).to_have_count(5)


def test_a_short_description_is_not_folded(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(
        client.create_project(), "Short", description="\n".join(f"- item {number}" for number in range(8))
    )
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        expect(tab.page.get_by_test_id("description").get_by_role("listitem")).to_have_count(8)
        expect(tab.page.get_by_role("button", name="Show all")).to_have_count(0)


def test_a_task_in_review_is_accepted_on_its_page(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Handed in")
    client.set_status(task, "REVIEW")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        decision = tab.page.get_by_test_id("decisions")
        expect(decision.get_by_role("button", name="Send back")).to_be_visible()
        decision.get_by_role("button", name="Accept").click()
        expect(tab.card_in("DONE", task)).to_be_visible()
        expect(decision).to_have_count(0)
        service.wait_until(lambda: client.get_task(task)["status"] == "DONE")


def test_cards_of_review_and_done_name_the_agent(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    review, done, free = (client.create_task(project, name) for name in ("Handed in", "Finished", "Free"))
    for task, status in ((review, "REVIEW"), (done, "DONE"), (free, "TODO")):
        client.claim(task, "codex-3")
        client.set_status(task, status, agent_id="codex-3")
    with dashboard(service, browser) as tab:
        tab.open()
        for status, task in (("REVIEW", review), ("DONE", done)):
            expect(tab.card_in(status, task).get_by_test_id("worked-by")).to_contain_text("codex-3")
        expect(tab.card_in("TODO", free)).to_be_visible()
        expect(tab.card(free).get_by_test_id("worked-by")).to_have_count(0)


def test_the_log_has_no_gap_after_more_entries_than_one_page_arrived_offline(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Busy")
    entries = [f"entry {number}" for number in range(2 * (LOG_PAGE + 1))]
    for body in entries[: LOG_PAGE + 1]:
        client.add_log(task, body)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        shown = tab.page.get_by_test_id("log-entry")
        expect(shown.first).to_contain_text(entries[LOG_PAGE])
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")
        for body in entries[LOG_PAGE + 1 :]:
            client.add_log(task, body)
        tab.context.set_offline(False)
        tab.expect_status("live")
        expect(shown.first).to_contain_text(entries[-1])
        tab.page.get_by_test_id("log-more").click()
        for count in (2 * LOG_PAGE, len(entries)):
            tab.page.get_by_role("button", name="Older entries").click()
            expect(shown).to_have_count(count)
        expect(shown.last).to_contain_text(entries[0])
