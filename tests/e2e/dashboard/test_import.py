"""Import and export of plans on the dashboard."""

import json
from pathlib import Path

import yaml
from playwright.sync_api import Browser, FilePayload, expect

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service
from tests.integration.plan_helpers import PLAN

FIRST_PLAN = PLAN.partition("          - name: Admire")[0]
"""The plan without its last task."""


def plan(text: str) -> FilePayload:
    return {"name": "plan.yaml", "mimeType": "application/yaml", "buffer": text.encode()}


def choose(tab: Dashboard, text: str) -> None:
    tab.page.get_by_test_id("plan-file").set_input_files(plan(text))


def drop(tab: Dashboard, text: str) -> None:
    """Drag a file over the page, see the zone, and drop it."""
    data = tab.page.evaluate_handle(
        "(text) => { const data = new DataTransfer(); data.items.add(new File([text], 'plan.yaml')); return data; }",
        text,
    )
    tab.page.dispatch_event("main", "dragover", {"dataTransfer": data})
    expect(tab.page.get_by_test_id("drop-zone")).to_be_visible()
    tab.page.dispatch_event("main", "drop", {"dataTransfer": data})


def test_a_dropped_plan_shows_its_errors_and_then_its_difference_by_name_before_it_is_imported(
    service: Service, browser: Browser, client: RestClient
) -> None:
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        drop(tab, PLAN.replace("labels", "label").replace("[Paint]", "Pant"))
        errors = tab.page.get_by_test_id("plan-error")
        expect(errors).to_have_count(2)
        expect(errors.first).to_contain_text("Line 7, column 13: unknown field `label`; did you mean `labels`?")
        expect(errors.first.locator("mark")).to_have_text("label")
        expect(errors.last.locator("pre")).to_have_text("12             depends_on: Pant")
        assert tab.violations() == []
        choose(tab, FIRST_PLAN)
        expect(tab.page.get_by_test_id("import-summary")).to_have_text("4 new")
        tab.page.get_by_test_id("import-confirm").click()
        expect(tab.page.get_by_test_id("import-done")).to_contain_text("4 new")
        tab.page.get_by_role("link", name="Open Garden").click()
        expect(tab.column("TODO")).to_contain_text("Buy paint")

        tab.page.keyboard.press("Control+k")
        tab.page.get_by_role("option", name="Import a plan").click()
        choose(tab, PLAN.replace("White.", "Green.").replace("[shop]", "[a, b]"))
        expect(tab.page.get_by_test_id("import-summary")).to_have_text("1 new 2 changed 2 left alone")
        changes = tab.page.get_by_test_id("change")
        expect(changes.filter(has_text="Paint").last).to_contain_text("White. → becomes Green.")
        expect(changes.filter(has_text="Admire")).to_have_text("+new: Admire")
        assert tab.violations() == []
        paint = next(task for task in client.send("GET", "/api/tasks")["items"] if task["name"] == "Paint")
        client.send("PATCH", f"/api/tasks/{paint['id']}", {"description": "Blue."})
        tab.page.get_by_test_id("import-confirm").click()
        expect(tab.page.get_by_test_id("import-outdated")).to_be_visible()
        expect(changes.filter(has_text="Paint").last).to_contain_text("Blue. → becomes Green.")
        assert client.get_task(paint["id"])["description"] == "Blue."
        tab.page.get_by_test_id("import-confirm").click()
        expect(tab.page.get_by_test_id("import-done")).to_contain_text("1 new 2 changed 2 left alone")
    assert client.get_task(paint["id"])["description"] == "Green."


def test_an_export_is_a_download_of_all_or_of_one_project(
    service: Service, browser: Browser, client: RestClient, tmp_path: Path
) -> None:
    client.create_task(client.create_project("Car & bike"), "Wash")
    client.create_task(client.create_project("Garden"), "Dig")
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        one = tab.page.get_by_role("link", name="Export project Car & bike as JSON")
        with tab.page.expect_download() as download:
            one.click()
        assert download.value.suggested_filename == "car-bike.json"
        download.value.save_as(tmp_path / "one.json")
        found = json.loads((tmp_path / "one.json").read_text())
        assert [project["name"] for project in found["projects"]] == ["Car & bike"]
        tab.page.get_by_test_id("more").click()
        with tab.page.expect_download() as download:
            tab.page.get_by_test_id("export-yaml").click()
        assert download.value.suggested_filename == "plan.yaml"
        download.value.save_as(tmp_path / "all.yaml")
        assert len(yaml.safe_load((tmp_path / "all.yaml").read_text())["projects"]) == 2


def test_only_operators_can_import_plans(start_service: Start, browser: Browser, cli: CommandLine) -> None:
    service = start_service()
    secret = cli.says("token", "create", "codex", "--role", "agent", "--db-path", str(service.database)).strip()
    with dashboard(service, browser) as tab:
        tab.page.goto(f"{service.url}/?view=projects")
        tab.sign_in(secret)
        tab.expect_status("live")
        expect(tab.page.get_by_test_id("import")).to_have_count(0)
        data = tab.page.evaluate_handle(
            "() => { const data = new DataTransfer(); data.items.add(new File(['a'], 'plan.yaml')); return data; }"
        )
        tab.page.dispatch_event("main", "drop", {"dataTransfer": data})
        tab.page.keyboard.press("Control+k")
        expect(tab.page.get_by_role("option", name="Import a plan")).to_have_count(0)
        expect(tab.dialog).to_have_count(1)
