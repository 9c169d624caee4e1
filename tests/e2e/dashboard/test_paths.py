"""Paths of tasks on the dashboard: the form, the task page, and tasks that they block."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import Service

AN_HOUR_MS = 3_600_000


def test_a_person_writes_paths_and_sees_the_task_that_they_block(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    held = client.create_task(project, "Held", paths=["src/api/**"])
    task = client.create_task(project, "Edited")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.drawer.get_by_role("button", name="Edit").click()
        tab.dialog.get_by_label("Paths").fill("src/api/a.py\ndocs/*.md")
        tab.dialog.get_by_role("button", name="Save").click()
        expect(tab.drawer.get_by_text("docs/*.md")).to_be_visible()
        assert client.get_task(task)["paths"] == ["src/api/a.py", "docs/*.md"]
        client.claim(held, "codex-3")
        blocked = tab.drawer.get_by_text("its paths overlap those of task")
        expect(blocked).to_be_visible()
        client.release(held, "codex-3")
        expect(blocked).to_be_hidden()


def test_a_task_that_paths_block_for_an_hour_needs_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    held = client.create_task(project, "Held", paths=["src/**"])
    task = client.create_task(project, "Blocked", paths=["src/a.py"])
    client.claim(held, "codex-3", 3600)
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open("/?view=needs")
        group = tab.page.get_by_test_id("need-paths")
        expect(group).to_have_count(0)
        tab.page.clock.fast_forward(AN_HOUR_MS)
        expect(group.locator(f'[data-task="{task}"]')).to_be_visible()
        expect(group).to_contain_text(f"waits for the paths of #{held}")
        client.set_status(task, "REVIEW", note="Done without these paths")
        waiting = tab.page.get_by_test_id("need-review").locator('[data-testid="need"]')
        expect(waiting).to_contain_text("Done without these paths")
        expect(waiting).not_to_contain_text("waits for the paths")
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.card_in("REVIEW", task)).not_to_contain_text("its paths overlap")
