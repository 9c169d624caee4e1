"""Helpers for the import and export of plans."""

from pathlib import Path
from typing import Any

from project_manager.domain.errors import Invalid
from tests.desk import Desk

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


async def bring(desk: Desk, document: str, **more: Any) -> Any:
    return await desk.do("import_plan", document=document, source="plan.yaml", **more)


async def refused(desk: Desk, document: str, **more: Any) -> list[dict[str, Any]]:
    """Import an invalid plan and return its field errors. Assert that nothing is written, not even an event."""
    before = await seq(desk)
    error = await desk.refused(Invalid, "import_plan", document=document, source="plan.yaml", **more)
    assert await seq(desk) == before
    faults: Any = error.details["faults"]
    return list(faults)


async def seq(desk: Desk) -> int:
    return int((await desk.do("wait_for_events", since=0, limit=1))["head"])


async def happened(desk: Desk, since: int) -> list[dict[str, Any]]:
    return list((await desk.do("wait_for_events", since=since, limit=500))["items"])


async def export(desk: Desk, **more: Any) -> str:
    return await desk.text("export_plan", **more)


async def named(desk: Desk, name: str) -> dict[str, Any]:
    found = [task for task in (await desk.do("list_tasks", limit=500))["items"] if task["name"] == name]
    assert len(found) == 1, f"{len(found)} tasks are called {name!r}"
    return dict(found[0])
