"""The rows of the list of tasks that need a person, and the tasks in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

UNREAD = '[data-need^="review:"]:nth-child(-n+12):not(:has([data-testid="need-submission"]))'


def review(client: RestClient, project: int, name: str, **fields: object) -> int:
    task = client.create_task(project, name, **fields)
    client.claim(task, "codex-3")
    client.set_status(task, "REVIEW", agent_id="codex-3", note=f"{name} is done")
    return task


def ask(client: RestClient, project: int, name: str, options: Sequence[str]) -> int:
    task = client.create_task(project, name)
    fence = client.claim(task, "codex-3")["fence"]
    body = {"agent_id": "codex-3", "fence": fence, "text": f"{name}?", "options": [*options]}
    client.send("POST", f"/api/tasks/{task}/questions", body)
    return task


def row(tab: Dashboard, task: int) -> Locator:
    return tab.page.get_by_test_id("need").filter(has=tab.page.locator(f'[data-task="{task}"]'))


def button(tab: Dashboard, name: str, task: int) -> Locator:
    return tab.page.get_by_role("button", name=f"{name}: #{task} ")


def expect_last_words(tab: Dashboard, *tasks: int) -> None:
    """Wait for the last log entries. They are read one by one, and each moves the rows below it."""
    for task in tasks:
        expect(row(tab, task).get_by_test_id("latest-log-entry")).to_be_visible()


def expect_work_read(tab: Dashboard) -> None:
    """Wait until the rows show the submissions: a verdict on others is asked about first."""
    expect(tab.page.locator(UNREAD)).to_have_count(0)


def expect_keys_to_act(tab: Dashboard) -> None:
    """Wait until keys act again. Shortly after the focus has moved by itself they do not."""
    expect(tab.page.locator("[data-settling]")).to_have_count(0)


@contextmanager
def needs(service: Service, browser: Browser, **options: object) -> Iterator[Dashboard]:
    with dashboard(service, browser, **options) as tab:
        tab.open("/?view=needs")
        expect_work_read(tab)
        yield tab
