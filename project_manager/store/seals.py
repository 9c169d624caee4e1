"""Digests of rows, covered by the hash chain, that make edits of the stored rows detectable.

A digest covers columns that the event itself does not contain. The column `sealed` of an event is a JSON object from
table to row id to digest, with the new digests of the rows that the event describes. It is no part of the public event.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, select

from project_manager.domain.task_fields import SEALED
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import metadata
from project_manager.store.transaction import Tx

Digests = dict[str, Any]


class SealedTable(NamedTuple):
    """A table with digests of its rows.

    `noun` names a row in a report. `is_of_task` is whether the deletion of a task deletes its rows in this table.
    A digest covers `columns`, in their order, and then `added`, the columns that came later, with their defaults. It
    leaves out the values that equal the default, so that older digests stay valid. Links that a deletion elsewhere sets
    to null are left out.
    """

    noun: str
    is_of_task: bool
    columns: tuple[str, ...]
    added: tuple[tuple[str, Any], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all covered columns."""
        return (*self.columns, *[name for name, _ in self.added])

    def digest(self, values: Sequence[Any]) -> str:
        """Return the digest of a row with these values of `names`."""
        size = len(self.columns)
        added = zip(self.added, values[size:], strict=True)
        later = [[name, value] for (name, default), value in added if value != default]
        return digest((*values[:size], *later))


_KNOWLEDGE = ("project_id", "title", "content", "category", "tags", "priority", "active", "metadata")
_KNOWLEDGE_LOG = ("knowledge_id", "action_type", "change_reason", "author", "metadata", "created_at")
_ASSUMPTION = ("task_id", "type", "text", "file_path", "line_number", "code_snippet", "author", "created_at")
_VERDICT = ("assumption_id", "verdict", "confidence", "reason", "reviewer", "created_at")
_QUESTION = ("task_id", "asker", "text", "options", "state", "asked_at", "answer", "answered_by", "via", "closed_at")
_TOKEN = ("name", "role", "agent_id", "hash", "created_at", "revoked_at")
_SUBMISSION = (
    *("task_id", "round", "author", "token_id", "fence", "summary", "branch", "commit_id", "pull_request", "evidence"),
    *("digest", "created_at", "verdict", "reviewer", "reviewer_kind", "body", "reviewed_at"),
)
TABLES = {
    "projects": SealedTable("project", False, ("name", "description", "archived_at"), (("policy", "{}"),)),
    "epics": SealedTable("epic", False, ("project_id", "name", "description", "status", "position")),
    "tasks": SealedTable("task", True, SEALED),
    "task_logs": SealedTable(
        "log entry", True, ("task_id", "author", "kind", "body", "created_at"), (("details", None),)
    ),
    "tokens": SealedTable("token", False, _TOKEN, (("attests", 0),)),
    "submissions": SealedTable("submission", True, _SUBMISSION),
    "questions": SealedTable("question", True, _QUESTION),
    "knowledge_items": SealedTable("knowledge", False, _KNOWLEDGE),
    "knowledge_logs": SealedTable("knowledge log entry", False, _KNOWLEDGE_LOG),
    "assumptions": SealedTable("assumption", True, _ASSUMPTION),
    "assumption_verdicts": SealedTable("verdict", True, _VERDICT),
}


def digest(values: tuple[Any, ...]) -> str:
    """Return the SHA-256 of the values as a JSON array, in hexadecimal."""
    return sha256(orjson.dumps(values)).hexdigest()


def digests_of(table: str, *rows: Any) -> Digests:
    """Return the digests of rows. Rows have an `id` and the columns of the table as attributes."""
    sealed = TABLES[table]
    return {table: {str(row.id): sealed.digest([getattr(row, name) for name in sealed.names]) for row in rows}}


def stored(tx: Tx, table: str, column: str, value: int) -> Digests:
    """Return the digests of the stored rows that have this value in this column."""
    rows = _rows_where(table, column).rows(tx, value=value)
    return {table: {str(row[0]): TABLES[table].digest(row[1:]) for row in rows}}


def digests_of_new_tasks(tx: Tx, task_ids: Collection[int]) -> dict[int, Digests]:
    """Return the digests of new tasks with their log entries, submissions, assumptions and verdicts, by task id."""
    assumptions = _grouped(tx, "assumptions", "task_id", task_ids)
    verdicts = _grouped(tx, "assumption_verdicts", "assumption_id", [*chain.from_iterable(assumptions.values())])
    judged = {
        task_id: {number: digest for one in found for number, digest in verdicts.get(int(one), {}).items()}
        for task_id, found in assumptions.items()
    }
    by_table = {
        "tasks": _grouped(tx, "tasks", "id", task_ids),
        "task_logs": _grouped(tx, "task_logs", "task_id", task_ids),
        "submissions": _grouped(tx, "submissions", "task_id", task_ids),
        "assumptions": assumptions,
        "assumption_verdicts": judged,
    }
    return {
        task_id: {table: found[task_id] for table, found in by_table.items() if found.get(task_id)}
        for task_id in task_ids
    }


def digests_of_table(tx: Tx, table: str) -> Iterator[tuple[int, str]]:
    """Yield (id, digest) of each stored row of a table, by id. The digest is empty when a value is invalid."""
    for row in _all_rows(table).each(tx):
        try:
            yield row[0], TABLES[table].digest(row[1:])
        except TypeError:  # a value of an unexpected type, or text that is not UTF-8
            yield row[0], ""


def _grouped(tx: Tx, table: str, column: str, values: Collection[Any]) -> dict[int, dict[str, str]]:
    """Return the digests of the stored rows by row id, grouped by their value in this column."""
    found: dict[int, dict[str, str]] = {}
    if values:
        rows = _rows_in(table, column).rows(tx, ids=json.dumps([int(value) for value in values]))
        for value, row_id, *columns in rows:
            found.setdefault(value, {})[str(row_id)] = TABLES[table].digest(columns)
    return found


def _select(table: str) -> Select[Any]:
    columns = metadata.tables[table].c
    return select(columns.id, *[columns[name] for name in TABLES[table].names])


@lru_cache(maxsize=16)
def _rows_where(table: str, column: str) -> Statement:
    found = metadata.tables[table].c
    return Statement(_select(table).where(found[column] == bindparam("value")).order_by(found.id))


@lru_cache(maxsize=16)
def _rows_in(table: str, column: str) -> Statement:
    found = metadata.tables[table].c
    chosen = select(found[column], found.id.label("row_id"), *[found[name] for name in TABLES[table].names])
    return Statement(chosen.where(is_among(found[column], "ids")).order_by(found.id))


@lru_cache(maxsize=16)
def _all_rows(table: str) -> Statement:
    return Statement(_select(table).order_by(metadata.tables[table].c.id))
