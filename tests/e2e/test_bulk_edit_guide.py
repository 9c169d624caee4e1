"""The commands of the guide to changes of many tasks, run as written."""

import json
from pathlib import Path

from tests.e2e import test_readme
from tests.e2e.conftest import Start
from tests.e2e.test_review_guides import answers, blocks


def test_tasks_are_counted_changed_and_restored(start_service: Start, tmp_path: Path) -> None:
    service = start_service()
    change, undo = [f"cd {tmp_path}\n{block}" for block in blocks("bulk-edits.md")]
    created, counted = answers(test_readme.run_block(service, change))
    assert (counted["changed"], counted["dry_run"]) == (2, True)
    edited = json.loads((tmp_path / "edited.json").read_text())
    assert (edited["changed"], edited["refused"]) == (2, [])
    [undone] = answers(test_readme.run_block(service, undo))
    assert (undone["changed"], undone["changed_since"]) == (2, [])
    with service.http() as http:
        tasks = http.get("/api/tasks").json()["items"]
    fields = ("id", "priority", "labels")
    items: list[dict[str, object]] = created["items"]  # type: ignore[assignment]
    assert [[task[name] for name in fields] for task in tasks] == [[task[name] for name in fields] for task in items]
