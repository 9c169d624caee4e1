"""The CHECKs of columns with a fixed set of words: each rejects other words, and costs no temporary index."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import get_args

import anyio.to_thread
import pytest

from project_manager.domain.actors import ActorKind, Role
from project_manager.domain.assumptions import Verdict
from project_manager.domain.logs import LogKind
from project_manager.domain.statuses import EpicStatus, Status
from project_manager.store.sqlite import driver
from tests.integration.test_events import everything
from tests.integration.watched_connection import traced_with_values
from tests.operations_client import OperationsClient
from tests.stored_rows import INTEGRITY_ERRORS, Address, write

ROWS = {
    "projects": "(id, name, description, version, created_at, updated_at) VALUES (1, 'Garden', '', 1, 1, 1)",
    "epics": "(id, project_id, name, description, status, position, version, created_at, updated_at) "
    "VALUES (1, 1, 'Fence', '', 'ACTIVE', 0, 1, 1, 1)",
    "tasks": "(id, project_id, name, description, status, priority, labels, acceptance, created_by, created_at, "
    "updated_at, version, fence, attempts, lock_fenced, open_dependencies, unblocks, deferred, archived) "
    "VALUES (1, 1, 'Paint', '', 'TODO', 2, '[]', '[]', 'ann', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)",
    "task_logs": "(id, task_id, author, kind, body, created_at) VALUES (1, 1, 'ann', 'comment', 'x', 1)",
    "agents": "(id, kind, first_seen_at, last_seen_at) VALUES ('ann', 'agent', 1, 1)",
    "tokens": "(id, name, role, hash, created_at) VALUES (1, 'ann', 'agent', 'h', 1)",
    "assumptions": "(id, task_id, type, text, author, created_at) VALUES (1, 1, 'weather', 'dry', 'ann', 1)",
    "assumption_verdicts": "(id, assumption_id, verdict, confidence, reason, reviewer, created_at) "
    "VALUES (1, 1, 'validated', 90, '', 'bob', 1)",
}
WORDS: dict[tuple[str, str], list[str]] = {
    ("epics", "status"): list(EpicStatus),
    ("tasks", "status"): list(Status),
    ("task_logs", "kind"): list(get_args(LogKind)),
    ("agents", "kind"): list(get_args(ActorKind)),
    ("tokens", "role"): [role.name.lower() for role in Role],
    ("assumption_verdicts", "verdict"): list(Verdict),
}
WITH_VALUE = {"tasks": ", completed_at = CASE WHEN ?1 = 'DONE' THEN 1 END"}
"""Other columns that depend on the word."""


def set_word(address: Address, table: str, column: str, word: str | None) -> None:
    write(address, f"UPDATE {table} SET {column} = ?1{WITH_VALUE.get(table, '')}", word)


@pytest.mark.parametrize(("table", "column"), WORDS)
def test_a_column_of_words_accepts_its_words_and_rejects_others(database: Address, table: str, column: str) -> None:
    for name, row in ROWS.items():
        write(database, f"INSERT INTO {name} {row}")
    first, *_ = words = WORDS[table, column]
    for word in words:
        set_word(database, table, column, word)
    for wrong in ("", "other", first.swapcase(), f"{first} ", None):
        with pytest.raises(INTEGRITY_ERRORS):
            set_word(database, table, column, wrong)


def indexes_built(path: Path, statements: list[str], *, checked: bool = True) -> int:
    """Return the number of temporary tables and indexes that the statements open, with or without their CHECKs."""
    with closing(driver.connect(str(path))) as connection:
        connection.execute(f"PRAGMA ignore_check_constraints={'OFF' if checked else 'ON'}")
        connection.text_factory = bytes  # a column may contain the hash of an event
        steps = [step for text in statements for step in connection.execute(f"EXPLAIN {text}")]
    return [step[1] for step in steps].count(b"OpenEphemeral")


@pytest.mark.sqlite_only
async def test_no_statement_of_the_writer_builds_an_index_for_a_check(
    api: OperationsClient, database_file: Path
) -> None:
    with traced_with_values(api.runtime.database.writer._connection) as statements:
        await everything(api)
        await api.create_task()
        claimed = await api.claim_next("ann")
        await api.call("renew_task_lock", task_id=claimed["task"]["id"], agent_id="ann")
        await api.release(claimed["task"]["id"], "ann", handoff="half")
    writes = [text for text in statements if text.startswith(("INSERT", "UPDATE"))]
    written = {text.replace("INSERT INTO", "UPDATE").split()[1] for text in writes}
    assert {table for table, _ in WORDS} <= written
    built = await anyio.to_thread.run_sync(indexes_built, database_file, writes)
    assert built == await anyio.to_thread.run_sync(partial(indexes_built, database_file, writes, checked=False))
