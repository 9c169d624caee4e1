#!/usr/bin/env python3
"""Write the content of a database of project-manager-mcp 0.2.x as a plan for `project-manager import`.

    from_project_manager_mcp.py project_manager.db > plan.json

It reads projects, epics, tasks with their dependencies, and knowledge. It needs only Python 3.11.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = sqlite3.Row


def plan(database: sqlite3.Connection) -> dict[str, Any]:
    """Return the plan. The key of a task is `mcp-` and its id, so that a second import finds it again."""
    database.row_factory = sqlite3.Row
    rows = database.execute("SELECT t.*, e.project_id AS project FROM tasks t JOIN epics e ON e.id = t.epic_id")
    tasks = {row["id"]: row for row in rows}
    return {"projects": [project(database, row, tasks) for row in database.execute("SELECT * FROM projects")]}


def project(database: sqlite3.Connection, row: Row, tasks: dict[int, Row]) -> dict[str, Any]:
    epics = database.execute("SELECT * FROM epics WHERE project_id = ? ORDER BY id", (row["id"],)).fetchall()
    names = {epic["id"]: epic["name"] for epic in epics}
    items = database.execute("SELECT * FROM knowledge_items WHERE project_id = ? ORDER BY id", (row["id"],))
    return {
        "name": row["name"],
        "description": row["description"] or "",
        "epics": [
            {
                "name": epic["name"],
                "description": epic["description"] or "",
                "tasks": [task(one, tasks) for one in tasks.values() if one["epic_id"] == epic["id"]],
            }
            for epic in epics
        ],
        "knowledge": [knowledge(item, names) for item in items],
    }


def task(row: Row, tasks: dict[int, Row]) -> dict[str, Any]:
    status = row["status"].upper()
    return {
        "name": row["name"],
        "description": row["description"] or "",
        "external_key": key(row["id"]),
        "status": "TODO" if status == "IN_PROGRESS" else status,  # its lease is not moved, so it must be claimed again
        "depends_on": list(references(row, "dependencies", tasks)),
        "conflicts_with": list(references(row, "conflicts_with", tasks)),
    }


def references(row: Row, column: str, tasks: dict[int, Row]) -> Iterator[str]:
    """Yield the keys of the tasks in a column. Report those that do not exist or are in another project."""
    for number in map(int, json.loads(row[column] or "[]")):
        if number in tasks and tasks[number]["project"] == row["project"]:
            yield key(number)
        else:
            print(f"task {row['id']}: {column} has {number}, which is not in its project; omitted", file=sys.stderr)


def knowledge(row: Row, epics: dict[int, str]) -> dict[str, Any]:
    item = {
        "title": row["title"],
        "content": row["content"],
        "category": row["category"],
        "tags": json.loads(row["tags"] or "[]"),
        "priority": row["priority"] or 0,
        "active": bool(row["is_active"]),
        "epic": epics.get(row["epic_id"]),
    }
    return {name: value for name, value in item.items() if value is not None}


def key(number: int) -> str:
    return f"mcp-{number}"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: from_project_manager_mcp.py FILE > plan.json")
    path = Path(sys.argv[1])
    if not path.is_file():
        sys.exit(f"database {path} not found")
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    print(json.dumps(plan(database), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
