"""Tests of the field `milestone`. They run in a copy of the package that has this field (test_new_field.py)."""

import html
import json
import re
from typing import Any

from project_manager.catalogue import OPERATIONS
from project_manager.web.openapi import document
from tests.http_service import HttpService

PLAN = """
projects:
  - name: Garden
    epics:
      - name: Fence
        tasks:
          - {{name: Buy paint, milestone: {milestone}}}
          - {{name: Paint}}
"""


async def imported(service: HttpService, milestone: str, **more: Any) -> Any:
    return await service.ok("POST", "/api/import", {"document": PLAN.format(milestone=milestone), **more})


async def test_rest_creates_reads_and_changes_the_field(service: HttpService) -> None:
    created = await service.ok("POST", "/api/tasks", {"name": "Paint", "milestone": "M1"})
    assert created["milestone"] == "M1"
    assert (await service.ok("GET", "/api/tasks/1"))["milestone"] == "M1"
    assert (await service.ok("PATCH", "/api/tasks/1", {"milestone": "M2"}))["milestone"] == "M2"
    assert (await service.ok("PATCH", "/api/tasks/1", {"priority": 0}))["milestone"] == "M2"
    (row,) = (await service.ok("GET", "/api/tasks?fields=milestone"))["items"]
    assert row == {"milestone": "M2"}
    (card,) = (await service.ok("GET", "/api/board/state"))["tasks"]
    assert card["milestone"] == "M2"
    assert (await service.ok("PATCH", "/api/tasks/1", {"milestone": None}))["milestone"] is None
    changes = [event.get("changes") for event in (await service.ok("GET", "/api/events"))["items"]]
    assert {"milestone": "M2"} in changes
    many = await service.ok("POST", "/api/tasks/bulk", {"tasks": [{"name": "Sand", "milestone": "M3"}]})
    assert many["items"][0]["milestone"] == "M3"


async def test_a_plan_writes_exports_and_compares_the_field(service: HttpService) -> None:
    await imported(service, "M1")
    exported = await service.ok("GET", "/api/export?format=json")
    tasks = json.loads(exported["document"])["projects"][0]["epics"][0]["tasks"]
    assert [task.get("milestone") for task in tasks] == ["M1", None]
    assert (await imported(service, "M1"))["changed"] == 0
    again = await imported(service, "M2", dry_run=True)
    assert [change["fields"] for change in again["changes"] if change["change"] == "changed"] == [["milestone"]]
    await imported(service, "M2")
    assert (await service.ok("GET", "/api/tasks/1"))["milestone"] == "M2"


async def test_the_form_of_the_dashboard_has_the_field(service: HttpService) -> None:
    page = (await service.send("GET", "/")).text
    (fields,) = re.findall(r'data-task-fields="([^"]*)"', page)
    found = {field["name"]: field for field in json.loads(html.unescape(fields))}
    assert found["milestone"] == {
        "name": "milestone",
        "kind": "line",
        "title": "Milestone",
        "hint": "",
        "required": False,
    }


def test_the_description_of_the_api_and_the_tool_that_clears_fields_have_the_field() -> None:
    described = document()
    for model in ("CreateTask", "BulkTask", "TaskView"):
        assert "milestone" in described["components"]["schemas"][model]["properties"]
    assert '"milestone"' in json.dumps(described["paths"]["/api/tasks/{task_id}"]["patch"]["requestBody"])
    (update,) = [row.tool for row in OPERATIONS if row.name == "update_task"]
    assert update is not None
    assert update.clearable["milestone"] is None
