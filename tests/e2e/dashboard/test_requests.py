"""The requests of an open page: events tell it most changes of tasks, so that it reads few of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

MANY = 30
TEXT = "Long description. " * 40


@contextmanager
def watched(service: Service, browser: Browser, address: str = "/") -> Iterator[tuple[Dashboard, list[str]]]:
    """Open a page. Yield it with the list of its later requests for the board and for tasks."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/board" in request.url or "/api/task" in request.url:
            asked.append(unquote(request.url.removeprefix(service.url)))

    with dashboard(service, browser) as tab:
        tab.open(address)
        expect(tab.column("TODO").get_by_test_id("count")).not_to_have_text("0")
        tab.settle()
        tab.page.on("request", note)
        yield tab, asked


def read_after(tab: Dashboard, client: RestClient, project: int) -> str:
    """Create a task, which the page has to read, and return that request. Earlier reads are in the list before it."""
    new = client.create_task(project, "The last change")
    expect(tab.card(new)).to_be_visible()
    return f"/api/tasks?ids={new}&limit=500"


def test_the_work_of_agents_on_many_tasks_causes_no_request_for_the_board_or_a_task(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    tasks = [client.create_task(project, f"Task {number}") for number in range(MANY)]
    following = [client.create_task(project, f"After {task}", depends_on=[task]) for task in tasks[:5]]
    with watched(service, browser) as (tab, asked):
        for task in tasks:
            fence = client.claim(task, "claude-7")["fence"]
            client.add_log(task, "Half of it works.", agent_id="claude-7", fence=fence)
            client.set_status(task, "DONE", agent_id="claude-7", fence=fence)
        expect(tab.column("DONE").get_by_test_id("count")).to_have_text(str(MANY))
        for task in following:
            expect(tab.card_in("TODO", task)).to_contain_text("Ready")
        assert asked == [read_after(tab, client, project)]


Change = Callable[[RestClient, int], object]
CHANGES: dict[str, Change] = {
    "an edit": lambda client, task: client.send("PATCH", f"/api/tasks/{task}", {"priority": 0, "labels": ["x"]}),
    "a new description": lambda client, task: client.send("PATCH", f"/api/tasks/{task}", {"description": TEXT}),
    "an entry in the log": lambda client, task: client.add_log(task, "A question."),
    "an assumption": lambda client, task: client.send(
        "POST", f"/api/tasks/{task}/assumptions", {"text": "#ASSUMPTION: It is so.", "agent_id": "claude-7"}
    ),
    "the claim of a task that others wait for": lambda client, task: client.claim(task, "claude-7"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_its_event_describes_causes_no_request(
    service: Service, browser: Browser, client: RestClient, change: str
) -> None:
    project = client.create_project()
    task = client.create_task(project, "Changed")
    client.create_task(project, "Waiting", depends_on=[task])
    with watched(service, browser) as (tab, asked):
        CHANGES[change](client, task)
        client.send("PATCH", f"/api/tasks/{task}", {"name": "Renamed"})
        expect(tab.card(task)).to_contain_text("Renamed")
        assert asked == [read_after(tab, client, project)]


def test_an_open_task_is_read_when_its_description_is_only_partly_known_and_no_other_task(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    task, other = [client.create_task(project, name) for name in ("Open", "Other")]
    with watched(service, browser, f"/?task={task}") as (tab, asked):
        for changed in (other, task):
            client.send("PATCH", f"/api/tasks/{changed}", {"description": f"{TEXT}The end of {changed}."})
        expect(tab.drawer).to_contain_text(f"The end of {task}.")
        assert asked.count(f"/api/tasks/{task}") == 1
        assert [path for path in asked if not path.startswith(f"/api/tasks/{task}")] == []


def test_a_task_is_read_when_a_dependency_of_several_is_done(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    first, second = [client.create_task(project, f"Task {number}") for number in range(2)]
    waiting = client.create_task(project, "Waiting", depends_on=[first, second])
    with watched(service, browser) as (tab, asked):
        client.set_status(first, "DONE")
        expect(tab.card(waiting)).to_contain_text(f"#{second}")
        expect(tab.card(waiting)).not_to_contain_text(f"#{first}")
        assert asked == [f"/api/tasks?ids={waiting}&limit=500"]


def test_a_deleted_task_leaves_no_link_on_a_ready_task(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    deleted = client.create_task(project, "Deleted")
    ready = client.create_task(project, "Ready", conflicts_with=[deleted])
    with watched(service, browser, f"/?task={ready}") as (tab, _):
        conflicts = tab.drawer.get_by_text("Never at the same time as")
        expect(conflicts).to_be_visible()
        client.send("DELETE", f"/api/tasks/{deleted}")
        expect(tab.card(deleted)).to_have_count(0)
        expect(conflicts).to_have_count(0)
