"""The graph of the dashboard."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service


def test_the_graph_draws_the_dependencies(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    first = client.create_task(project, "First")
    second = client.create_task(project, "Second", depends_on=[first])
    third = client.create_task(project, "Third", depends_on=[second, first])
    client.create_task(project, "Alone")
    with dashboard(service, browser) as tab:
        tab.open("/?view=graph")
        expect(tab.page.get_by_test_id("node")).to_have_count(3)
        expect(tab.page.locator("path.edge")).to_have_count(3)
        expect(tab.page.locator("path.edge.longest")).to_have_count(2)
        tab.page.get_by_test_id("node").filter(has_text="Third").click()
        expect(tab.drawer).to_contain_text("Waits for")
        assert str(third) in tab.page.url
        client.set_status(first, "DONE")
        expect(tab.page.get_by_test_id("node")).to_have_count(2)


def test_the_graph_opens_on_the_tasks_that_people_hold_back(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    review = client.create_task(project, "Finished work")
    second = client.create_task(project, "Second", depends_on=[review])
    third = client.create_task(project, "Third of these", depends_on=[second])
    other = client.create_task(project, "Ready one")
    client.create_task(project, "Waits for the ready one", depends_on=[other])
    client.set_status(review, "IN_PROGRESS")
    client.set_status(review, "REVIEW")
    with dashboard(service, browser) as tab:
        tab.open("/?view=graph")
        nodes = tab.page.get_by_test_id("node")
        expect(nodes).to_have_count(3)
        expect(nodes.filter(has_text="Finished work")).to_contain_text("holds back 2")
        tab.page.get_by_test_id("graph-all").click()
        expect(nodes).to_have_count(5)
        assert "show=all" in tab.page.url
        find = tab.page.get_by_test_id("graph-find")
        find.fill("third")
        expect(tab.page.get_by_test_id("graph-found")).to_have_text("1 of 1")
        before = tab.page.get_by_test_id("graph").get_attribute("viewBox") or ""
        find.press("Enter")
        expect(tab.page.get_by_test_id("graph")).not_to_have_attribute("viewBox", before)
        expect(tab.page.locator(".node.found")).to_have_attribute("data-task", str(third))
        find.fill(f"#{second}")
        expect(tab.page.locator(".node.found")).to_have_attribute("data-task", str(second))
        assert tab.violations() == []
        tab.page.get_by_test_id("filter-project").select_option(str(project))
        expect(nodes).to_have_count(5)
        jumped = tab.page.get_by_test_id("graph").get_attribute("viewBox") or ""
        tab.page.get_by_test_id("filter-project").press("0")
        expect(tab.page.get_by_test_id("graph")).not_to_have_attribute("viewBox", jumped)
        client.set_status(review, "DONE")
        tab.page.get_by_test_id("graph-waiting").click()
        expect(tab.page.get_by_text("Nothing is held back by people")).to_be_visible()
        assert tab.violations() == []
