"""`verify`, `backup` and `restore` on a database that another program has changed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.command_line import CommandLine

DATABASE = "data/tasks.db"


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    (tmp_path / "plan.yaml").write_text("projects: [{name: Shed, tasks: [{name: Sort}]}]")
    cli = CommandLine(tmp_path)
    cli.says("import", "plan.yaml")
    return cli


def change(cli: CommandLine, statement: str, file: str = DATABASE) -> None:
    with closing(sqlite3.connect(cli.folder / file)) as database:
        database.execute(statement)
        database.commit()


def test_verify_prints_the_newest_event_and_accepts_it_as_a_published_head(cli: CommandLine) -> None:
    head = json.loads(cli.says("verify", "--json"))["head"]
    assert f"Latest event: {head}\n" in cli.says("verify")
    assert "is intact" in cli.says("verify", "--head", head)
    other = f"{head.partition(':')[0]}:{'0' * 64}"
    assert "differs from the published head" in cli.refuses(1, "verify", "--head", other)
    assert "SEQ:HASH" in cli.refuses(2, "verify", "--head", "7")


def test_a_changed_database_is_reported_as_changed_and_not_damaged(cli: CommandLine) -> None:
    change(cli, "UPDATE tasks SET status = 'DONE', completed_at = 1")
    said = cli.refuses(1, "verify")
    assert "task 1 has status DONE, but TODO in its events" in said
    assert "damaged" not in said
    assert "Another program has changed the contents" in said


def test_an_outdated_flow_is_reported_with_its_rebuild_and_not_as_a_change_of_the_contents(cli: CommandLine) -> None:
    change(cli, "INSERT INTO flow_position VALUES (1, (SELECT max(seq) FROM events), 0, 1, 0, 0, 0)")
    said = cli.run("verify")
    assert said.returncode == 1
    assert "is intact: pages, references, counters and events" in said.stdout
    assert "the flow does not match its events:\n  the flow of the hour " in said.stderr
    assert said.stderr.endswith("Rebuild the flow: POST /api/flow/rebuild\n")
    assert "Another program" not in said.stderr
    found = json.loads(cli.run("verify", "--json").stdout)
    assert (found["integrity"], found["matches_events"], len(found["flow"])) == (True, True, 1)


def test_a_backup_of_a_changed_database_warns_and_its_restore_needs_force(cli: CommandLine) -> None:
    change(cli, "UPDATE tasks SET description = 'Do nothing'")
    copied = cli.run("backup", "copy.db")
    assert copied.returncode == 0
    assert "task 1 was changed, but no event records the change" in copied.stderr
    assert "--force" in cli.refuses(1, "restore", "copy.db")
    assert "restored from copy.db" in cli.says("restore", "copy.db", "--force")
