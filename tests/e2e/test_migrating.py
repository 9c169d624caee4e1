"""The move of a database of project-manager-mcp, as docs/migrating.md describes it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.e2e.command_line import CommandLine

SCRIPT = Path(__file__).parents[2] / "examples" / "from_project_manager_mcp.py"
PREDECESSOR = """
CREATE TABLE projects (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT);
CREATE TABLE epics (id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL, description TEXT);
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, epic_id INTEGER NOT NULL, project_id INTEGER, name TEXT NOT NULL, description TEXT,
    status TEXT, dependencies TEXT, conflicts_with TEXT);
CREATE TABLE knowledge_items (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, content TEXT NOT NULL, category TEXT, tags TEXT,
    project_id INTEGER NOT NULL, epic_id INTEGER, priority INTEGER, is_active BOOLEAN);
INSERT INTO projects VALUES (1, 'Shop', NULL), (2, 'Blog', 'Posts');
INSERT INTO epics VALUES (1, 1, 'Checkout', NULL), (2, 1, 'Later', NULL), (3, 2, 'Design', NULL);
INSERT INTO tasks VALUES
    (1, 1, NULL, 'Cart', NULL, 'completed', NULL, NULL),
    (2, 2, NULL, 'Cart', 'The same name', 'in_progress', '["1", 99]', '[3]'),
    (3, 2, 1, 'Pay', NULL, 'backlog', '[4]', NULL),
    (4, 3, 2, 'Logo', NULL, 'TODO', NULL, NULL);
INSERT INTO knowledge_items VALUES (1, 'Money', 'In cents', 'convention', '["money"]', 1, 1, 3, 1);
"""
"""The columns of version 0.2.7 that hold the content."""


def migrate(folder: Path) -> "subprocess.CompletedProcess[str]":
    database = sqlite3.connect(folder / "project_manager.db")
    database.executescript(PREDECESSOR)
    database.close()
    command = [sys.executable, str(SCRIPT), str(folder / "project_manager.db")]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)


def test_the_content_of_a_predecessor_becomes_a_plan_that_can_be_imported_twice(cli: CommandLine) -> None:
    (cli.folder / "plan.json").write_text(migrate(cli.folder).stdout)
    assert cli.says("import", "plan.json").startswith("Imported: 10 created")
    assert cli.says("import", "plan.json").startswith("Imported: 0 created, 0 changed, 10 unchanged")
    tasks = {task["external_key"]: task for task in json.loads(cli.says("tasks", "--json"))["items"]}
    assert {name: task["status"] for name, task in tasks.items()} == {
        "mcp-1": "DONE",
        "mcp-2": "TODO",
        "mcp-3": "BACKLOG",
        "mcp-4": "TODO",
    }
    assert tasks["mcp-2"]["depends_on"] == [tasks["mcp-1"]["id"]]
    assert tasks["mcp-2"]["conflicts_with"] == [tasks["mcp-3"]["id"]]


def test_references_that_cannot_be_moved_are_reported(tmp_path: Path) -> None:
    assert migrate(tmp_path).stderr.splitlines() == [
        "task 2: dependencies has 99, which is not in its project; omitted",
        "task 3: dependencies has 4, which is not in its project; omitted",
    ]
