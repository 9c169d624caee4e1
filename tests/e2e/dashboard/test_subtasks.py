"""Subtasks on the dashboard: the progress on the page of a task, a new subtask, and the link to the parent."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service


def test_a_person_adds_a_subtask_and_sees_the_progress_live(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Website")
    epic = client.create_epic(project, "Shop")
    parent = client.create_task(project, "Checkout", epic_id=epic)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={parent}")
        readiness = tab.drawer.locator(".readiness")
        expect(readiness).to_contain_text("Ready.")
        tab.page.get_by_test_id("add-subtask").click()
        expect(tab.dialog).to_contain_text(f"New subtask of #{parent}")
        tab.dialog.get_by_label("Name").fill("Card payments")
        tab.page.get_by_test_id("save").click()
        expect(tab.page.get_by_test_id("parent")).to_contain_text("Checkout")
        child = client.send("GET", "/api/tasks")["items"][-1]
        assert (child["parent_id"], child["epic_id"]) == (parent, epic)
        tab.page.get_by_test_id("parent").get_by_role("link").click()
        subtasks = tab.page.get_by_test_id("subtasks")
        expect(subtasks).to_contain_text("0 of 1 done")
        expect(readiness.get_by_role("link")).to_contain_text([f"#{child['id']}"])
        other = client.create_task(project, "Invoices", parent_id=parent)
        expect(subtasks).to_contain_text("0 of 2 done")
        expect(readiness.get_by_role("link")).to_contain_text([f"#{child['id']}", f"#{other}"])
        client.set_status(child["id"], "DONE")
        expect(subtasks).to_contain_text("1 of 2 done")
        expect(readiness.get_by_role("link")).to_contain_text([f"#{other}"])
        assert tab.violations() == []
        client.set_status(other, "CANCELLED")
        expect(subtasks).to_contain_text("1 of 2 done, 1 cancelled")
        expect(readiness).to_contain_text("Ready.")


def test_a_person_removes_a_task_from_its_parent_and_a_parent_is_not_moved_to_done_too_early(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Website")
    parent = client.create_task(project, "Checkout")
    child = client.create_task(project, "Card payments", parent_id=parent)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={parent}")
        tab.page.get_by_test_id("move").select_option("DONE")
        expect(tab.page.get_by_text(f"has unfinished subtask #{child}").first).to_be_visible()
        assert client.get_task(parent)["status"] == "TODO"
        tab.open(f"/?task={child}")
        tab.page.get_by_test_id("remove-parent").click()
        expect(tab.page.get_by_test_id("parent")).to_have_count(0)
        assert client.get_task(child)["parent_id"] is None
        assert client.get_task(parent)["ready"]
