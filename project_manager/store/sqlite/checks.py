"""Checks of an open database, from its pages to the consistency of its tables with its events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from project_manager.domain.actors import SYSTEM
from project_manager.store import bulk, history_check, labels, ready_tasks, revisions
from project_manager.store.chain import Head
from project_manager.store.sqlite import schema_check
from project_manager.store.transaction import Tx

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of the checks of a database file with the schema `revision` and the newest event `head`.

    `problems` are damage. `differences` from the events, the hash chain or the schema show changes by another program.
    `unchecked` is the number of tasks without a retained event. `of_other_release` is true when only another release
    can use the schema. Then only some checks have run.
    """

    revision: str | None
    problems: tuple[str, ...]
    of_other_release: bool = False
    differences: tuple[str, ...] = ()
    head: Head | None = None
    unchecked: int = 0


def check_contents(connection: Any, published: Iterable[Head] = ()) -> CheckResult:
    """Check an open database and return the result. Its hash chain must contain `published`. Raises DriverError."""
    execute: Callable[..., Any] = connection.execute
    problems = [row[0] for row in execute(f"PRAGMA integrity_check({_SHOWN})") if row[0] != "ok"]
    if problems:
        return CheckResult(None, tuple(problems))  # the other checks need intact pages
    orphans = execute("PRAGMA foreign_key_check").fetchmany(_SHOWN)
    problems = [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in orphans]
    revision = revisions.current(connection)
    if revision is None or revisions.is_foreign(connection):
        return CheckResult(revision, (*problems, "it is not a Project Manager database"))
    if revision not in revisions.known_revisions():
        other = revisions.other_revision(connection)
        return CheckResult(revision, tuple(problems), of_other_release=other is not None)
    differences = tuple(schema_check.differences(connection, revision)[:_SHOWN])
    # The checks below use the tables and columns of the present schema.
    if revision != revisions.head():
        return CheckResult(revision, tuple(problems), differences=differences)
    tx = Tx(connection, 0, SYSTEM, "", 0)
    problems += [f"task {task_id} has wrong dependency counters" for task_id in bulk.find_wrong_counters(tx, _SHOWN)]
    problems += [
        f"task {task_id} is missing from the label index" for task_id in ready_tasks.missing_label_entries(tx, _SHOWN)
    ]
    problems += [f"task {task_id} has wrong entries in task_labels" for task_id in labels.find_wrong(tx, _SHOWN)]
    found = history_check.check(tx, published)
    return CheckResult(
        revision,
        tuple(problems),
        differences=(*differences, *found.differences),
        head=found.head,
        unchecked=found.unchecked,
    )
