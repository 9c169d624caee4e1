"""Copy of a database to another one, of the same kind or not: every row that outlives the processes.

Ids, fences, event numbers, hashes and the epoch are kept, so that clients continue with their leases, tokens and
position in the events. The target stays empty until the copy was compared with the source.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Table, delete, select

from project_manager.store import meta, revisions, search
from project_manager.store import tables as schema
from project_manager.store.chain import Head
from project_manager.store.checks import CheckResult
from project_manager.store.errors import CopyError
from project_manager.store.opening import postgres_module
from project_manager.store.sqlite import copying as sqlite
from project_manager.store.statement import Row, Statement
from project_manager.store.transaction import Tx

LEFT_OUT = {
    "instances": "a row for each running process",
    "waiters": "calls that wait, which end with their process",
    "running_releases": "written by the migrations of the target",
    "claimable_labels": "written by the triggers of tasks",
    "task_labels": "written by the triggers of tasks",
}
"""Tables that are not copied, with the reason."""
COPIED = tuple(table for table in schema.metadata.sorted_tables if table.name not in LEFT_OUT)
"""The copied tables. A table comes after those that its foreign keys refer to."""
NUMBERED = tuple(table.name for table in COPIED if table.dialect_options["sqlite"]["autoincrement"])
"""The tables with ids that the database assigns. No id is assigned twice, even after its row was deleted."""

_DELETE_META = Statement(delete(schema.meta))


@dataclass(frozen=True, slots=True)
class TableDigest:
    """The number of rows of a table, and the SHA-256 of all its values in the order of the primary key."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A verified copy. `head` is its newest event.

    A copy with `differences` between its contents and its events is kept: the source has the same ones.
    """

    source: str
    target: str
    revision: str
    epoch: str
    tables: dict[str, TableDigest]
    head: Head | None
    differences: tuple[str, ...]


class Side(Protocol):
    """A locked database with the schema of this release. No other process can write to it."""

    name: str
    tx: Tx

    def errors(self) -> AbstractContextManager[None]:
        """Raise errors of the driver as CopyError, or as another BackupError."""

    def last_number(self, table: str) -> int:
        """Return the highest id that was ever assigned in a table, or 0. It can be the id of a deleted row."""


class Target(Side, Protocol):
    """A database with empty tables. Its rows are kept when its context ends without an error."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Insert many rows. Foreign keys may refer to a later row of the same table."""

    def set_last_number(self, table: str, number: int) -> None:
        """Let the ids of new rows begin after this one."""

    def check(self) -> CheckResult:
        """Check the contents, from references to the consistency with the events."""


def copy(source: Path | str, target: Path | str) -> Copied:
    """Copy a database to an empty one, compare both and return the result. An address is a path or a URL.

    Both are locked meanwhile. After an error or an interruption, the target is empty or missing. Raises BackupError and
    DatabaseOpenError.
    """
    with _side(source).open_source(source) as from_side, _side(target).open_target(target) as to_side:
        return _copy(from_side, to_side)


def _side(address: Path | str) -> Any:
    """Return the module that opens both sides at such an address."""
    return postgres_module("copying") if isinstance(address, str) else sqlite


def _copy(source: Side, target: Target) -> Copied:
    with target.errors():
        _check_empty(target)
        _DELETE_META.run(target.tx)
    for table in COPIED:
        _load(target, table.name, [column.name for column in table.c], _rows(source, table))
    for name, (table, texts) in search.INDEXED.items():
        _load(target, name, search.columns(target.tx, texts), _index_rows(source, target, table, texts))
    for name in NUMBERED:
        with target.errors():
            target.set_last_number(name, source.last_number(name))
    return _verify(source, target)


def _check_empty(target: Target) -> None:
    """Raise CopyError if the target has rows, apart from the single row that its migration has inserted."""
    for table in COPIED:
        if table is not schema.meta and _select(table, tuple(table.c.keys())).row(target.tx) is not None:
            raise CopyError(f"the database {target.name} is not empty, it has {table.name}: copy to a new database")


def _load(target: Target, table: str, columns: Sequence[str], rows: Generator[Row, None, None]) -> None:
    with target.errors(), closing(rows):  # after an error, the rows still have a cursor
        target.load(table, columns, rows)


def _rows(side: Side, table: Table) -> Generator[Row, None, None]:
    """Yield all rows of a table in the order of its primary key, which is the same in each database."""
    with side.errors():
        yield from _select(table, tuple(table.c.keys())).each(side.tx)


def _index_rows(source: Side, target: Target, table: Table, texts: tuple[str, ...]) -> Generator[Row, None, None]:
    """Yield the rows of the search index of a table."""
    with source.errors():
        for row_id, *values in _select(table, ("id", *texts)).each(source.tx):
            yield search.row(target.tx, row_id, dict(zip(texts, values, strict=True)))


@cache
def _select(table: Table, columns: tuple[str, ...]) -> Statement:
    return Statement(select(*[table.c[name] for name in columns]).order_by(*table.primary_key.columns))


def _verify(source: Side, target: Target) -> Copied:
    """Read both sides again, compare them, and check the contents of the target. Raises CopyError."""
    tables = {str(table.name): _compared(source, target, table) for table in COPIED}
    for name in NUMBERED:
        if source.last_number(name) != target.last_number(name):
            raise CopyError(f"the copy of {source.name} is wrong: the ids of {name} do not continue in {target.name}")
    with target.errors():
        found = target.check()
        if found.problems:
            raise CopyError(
                f"{source.name} was not copied, because its contents are damaged: {'; '.join(found.problems)}; check "
                "it with `project-manager verify`"
            )
        epoch = meta.epoch(target.tx)
    return Copied(source.name, target.name, revisions.head(), epoch, tables, found.head, found.differences)


def _compared(source: Side, target: Side, table: Table) -> TableDigest:
    expected, found = _digest(source, table), _digest(target, table)
    if found != expected:
        raise CopyError(
            f"the copy of {source.name} is wrong: {table.name} has {expected.rows:,} rows there and {found.rows:,} in "
            f"{target.name}, or other values"
        )
    return found


def _digest(side: Side, table: Table) -> TableDigest:
    number, digest = 0, sha256()
    for row in _rows(side, table):
        number += 1
        digest.update(repr(row).encode())
    return TableDigest(number, digest.hexdigest())
