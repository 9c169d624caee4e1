"""The agent and the project that the command line of `project-manager mcp` fixes."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.command_line import CommandLine
from tests.e2e.mcp_listener import call
from tests.e2e.test_mcp_database import HELLO


def calls(folder: Path, words: tuple[str, ...], *messages: dict[str, Any]) -> list[str]:
    """Run the command with these calls, and return the texts of their results in order."""
    lines = "".join(orjson.dumps(message).decode() + "\n" for message in (HELLO, *messages))
    done = CommandLine(folder).run("mcp", "--db-path", "tasks.db", *words, stdin=lines)
    assert done.returncode == 0, done.stderr
    answers = {answer["id"]: answer for answer in map(orjson.loads, done.stdout.splitlines())}
    return [answers[message["id"]]["result"]["content"][0]["text"] for message in messages]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan.yaml").write_text("projects: [{name: Shop, epics: [{name: Checkout, tasks: [{name: Pay}]}]}]")
    CommandLine(tmp_path).says("import", "plan.yaml", "--db-path", "tasks.db")
    return tmp_path


def test_the_flags_fix_agent_and_project_of_all_calls(folder: Path) -> None:
    words = ("--agent-id", "ann", "--project", "shop")
    (claim,) = calls(folder, words, call("claim_next_task", 2))
    assert orjson.loads(claim)["task"]["id"] == 1
    log, other, created = calls(
        folder,
        words,
        call("add_task_log", 2, task_id=1, body="begun", fence=1),
        call("get_context", 3, agent_id="bob"),
        call("create_task", 4, name="Refund"),
    )
    assert "id" in orjson.loads(log)
    assert other.startswith("AGENT_MISMATCH: this connection acts as 'ann'")
    assert (orjson.loads(created)["project_id"], orjson.loads(created)["created_by"]) == (1, "ann")


def test_the_flag_auto_issues_an_id_with_the_name_of_the_client(folder: Path) -> None:
    (claim,) = calls(folder, ("--agent-id", "auto"), call("claim_next_task", 2))
    assert orjson.loads(claim)["agent_id"].startswith("pipe-")


def test_empty_flags_count_as_absent_and_an_unknown_project_is_named(folder: Path) -> None:
    (claim,) = calls(folder, ("--agent-id", "", "--project", " "), call("claim_next_task", 2))
    assert claim.startswith("AGENT_REQUIRED: `agent_id` is missing")
    (claim,) = calls(folder, ("--agent-id", "ann", "--project", "Shpo"), call("claim_next_task", 2))
    assert claim.startswith("PROJECT_NOT_FOUND: project `Shpo` of this connection not found")
