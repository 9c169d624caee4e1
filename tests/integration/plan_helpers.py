"""Helpers for the import and export of plans."""

from pathlib import Path
from typing import Any

from project_manager.domain.errors import Invalid
from tests.operations_client import OperationsClient

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = {path.name: path.read_text() for path in sorted((CHECKOUT / "examples").glob("*.yaml"))}
PLAN = """\
projects:
  - name: Garden
    epics:
      - name: Fence
        tasks:
          - name: Buy paint
            labels: [shop]
          - name: Paint
            description: White.
            depends_on: Buy paint
          - name: Admire
            depends_on: [Paint]
"""


async def import_plan(api: OperationsClient, document: str, **more: Any) -> Any:
    return await api.call("import_plan", document=document, source="plan.yaml", **more)


async def import_errors(api: OperationsClient, document: str, **more: Any) -> list[dict[str, Any]]:
    """Import an invalid plan and return its field errors. Assert that nothing is written, not even an event."""
    before = await seq(api)
    error = await api.call_error(Invalid, "import_plan", document=document, source="plan.yaml", **more)
    assert await seq(api) == before
    faults: Any = error.details["errors"]
    return list(faults)


async def seq(api: OperationsClient) -> int:
    return int((await api.call("wait_for_events", since=0, limit=1))["head"])


async def events_since(api: OperationsClient, since: int) -> list[dict[str, Any]]:
    return list((await api.call("wait_for_events", since=since, limit=500))["items"])


async def export(api: OperationsClient, **more: Any) -> str:
    return await api.stream_text("export_plan", **more)


async def task_by_name(api: OperationsClient, name: str) -> dict[str, Any]:
    found = [task for task in (await api.call("list_tasks", limit=500))["items"] if task["name"] == name]
    assert len(found) == 1, f"{len(found)} tasks are called {name!r}"
    return dict(found[0])
