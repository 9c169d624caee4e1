"""Checks of an open database, from its pages to the consistency of its tables with its events."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from project_manager.domain.actors import SYSTEM
from project_manager.store import checks, revisions
from project_manager.store.chain import Head
from project_manager.store.checks import SHOWN, CheckResult
from project_manager.store.sqlite import schema_check
from project_manager.store.transaction import Tx


def check_contents(connection: Any, published: Iterable[Head] = (), *, with_flow: bool = False) -> CheckResult:
    """Check an open database and return the result. Its hash chain must contain `published`. Raises DriverError."""
    execute: Callable[..., Any] = connection.execute
    problems = [row[0] for row in execute(f"PRAGMA integrity_check({SHOWN})") if row[0] != "ok"]
    if problems:
        return CheckResult(None, tuple(problems))  # the other checks need intact pages
    orphans = execute("PRAGMA foreign_key_check").fetchmany(SHOWN)
    problems = [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in orphans]
    revision = revisions.current(connection)
    if revision is None or revisions.is_foreign(connection):
        return CheckResult(revision, (*problems, "it is not a Project Manager database"))
    if revision not in revisions.known_revisions():
        other = revisions.other_revision(connection)
        return CheckResult(revision, tuple(problems), of_other_release=other is not None)
    differences = tuple(schema_check.differences(connection, revision)[:SHOWN])
    # The checks below use the tables and columns of the present schema.
    if revision != revisions.head():
        return CheckResult(revision, tuple(problems), differences=differences)
    found = checks.check_contents(Tx(connection, 0, SYSTEM, "", 0), revision, published, with_flow=with_flow)
    return replace(found, problems=(*problems, *found.problems), differences=(*differences, *found.differences))
