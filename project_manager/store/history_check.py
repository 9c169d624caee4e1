"""Comparison of the events with their hash chain, and of the tables with the events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import func, select

from project_manager.domain.history import UNKNOWN, History, HistoryEvent, TaskState
from project_manager.domain.limits import LEASE_SECONDS_MAXIMUM
from project_manager.store import chain, meta, retention, seals
from project_manager.store.chain import Head
from project_manager.store.statement import Statement
from project_manager.store.tables import ended_leases, events, tasks
from project_manager.store.transaction import Tx

MAX_SHOWN = 20
LEASE_MARGIN_MS = 60_000
"""Tolerance for `meta.clock_high`, which batches without events raise only once a second."""


@dataclass(frozen=True, slots=True)
class HistoryCheckResult:
    """The result of the comparison. `unchecked` is the number of tasks without any remaining event."""

    differences: tuple[str, ...]
    head: Head
    unchecked: int


@dataclass(slots=True)
class _Differences:
    """The texts of the first MAX_SHOWN differences, and the number of all differences."""

    shown: list[str] = field(default_factory=list)
    number: int = 0

    def add(self, difference: str) -> None:
        self.number += 1
        if self.number <= MAX_SHOWN:
            self.shown.append(difference)

    def texts(self) -> tuple[str, ...]:
        more = self.number - len(self.shown)
        return tuple(self.shown) if more == 0 else (*self.shown, f"and {more:,} more differences")


_EVENTS = Statement(select(*[events.c[name] for name in (*chain.COLUMNS, "hash")]).order_by(events.c.seq))
_TASKS = Statement(
    select(
        tasks.c.id,
        tasks.c.project_id,
        tasks.c.epic_id,
        tasks.c.status,
        tasks.c.lock_holder,
        tasks.c.fence,
        tasks.c.lock_expires_at,
    ).order_by(tasks.c.id)
)
_ENDED = Statement(select(ended_leases.c.task_id, func.max(ended_leases.c.fence)).group_by(ended_leases.c.task_id))


def check(tx: Tx, published: Iterable[Head] = ()) -> HistoryCheckResult:
    """Compare the events with their hash chain and the `published` heads, and the rows with the events about them.

    Memory use grows with the number of tasks and of sealed rows, not with the length of their texts.
    """
    found, history = _Differences(), History()
    head = _walk(tx, history, published, found.add)
    removed = retention.facts(tx)
    _compare_fence_floor_and_epoch(tx, history, removed, found.add)
    unchecked = _compare_tasks(tx, history, removed, found.add)
    for table in seals.TABLES:
        _compare_rows(tx, table, history, removed.get(table, 0), found.add)
    return HistoryCheckResult(found.texts(), head, unchecked)


Report = Callable[[str], None]


def _walk(tx: Tx, history: History, published: Iterable[Head], report: Report) -> Head:
    """Check each link of the chain, apply each event to `history`, and return the head."""
    expected = {head.seq: head.hash for head in published}
    floor = head = chain.floor(tx)
    _compare_published(expected, head, report)
    for row in _EVENTS.each(tx):
        seq, stored = row[0], row[-1]
        if seq != head.seq + 1:
            report(_gap(head.seq, seq))
        elif _link(head.hash, row[:-1]) != stored:
            report(f"event {seq} was changed: its hash does not match its contents")
        head = Head(seq, stored)
        _compare_published(expected, head, report)
        if not _apply(history, row):
            report(f"event {seq} cannot be read")
    _compare_sequence(tx, head, report)
    for seq in sorted(expected):
        why = "older than the retained events" if seq < floor.seq else "missing"
        report(f"event {seq}, a published head, is {why}")
    return head


def _gap(last: int, seq: int) -> str:
    if seq <= last:
        return f"event {seq} exists, but retention has removed the events up to {last}"
    return f"event {last + 1} is missing" if seq == last + 2 else f"events {last + 1} to {seq - 1} are missing"


def _link(previous: bytes, columns: tuple[Any, ...]) -> bytes | None:
    try:
        return chain.link(previous, columns)
    except TypeError:  # a value of an unexpected type, or text that is not UTF-8
        return None


def _compare_published(expected: dict[int, bytes], head: Head, report: Report) -> None:
    if expected.pop(head.seq, head.hash) != head.hash:
        report(f"the hash of event {head.seq} differs from the published head")


def _apply(history: History, row: tuple[Any, ...]) -> bool:
    """Apply the event to `history`. Return False when it cannot be parsed or lacks a required part."""
    found = dict(zip(chain.COLUMNS, row, strict=False))
    try:
        data, sealed = orjson.loads(found["data"]), orjson.loads(found["sealed"] or "{}")
        history.apply(
            HistoryEvent(
                found["type"], found["at"], found["project_id"], found["epic_id"], found["task_id"], data, sealed
            )
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def _compare_sequence(tx: Tx, head: Head, report: Report) -> None:
    """Compare the head with the highest `seq` ever assigned, which the database keeps."""
    row = tx.connection.execute(tx.connection.dialect.last_event).fetchone()
    last = 0 if row is None else row[0]
    if last != head.seq:
        report(f"the last event is {head.seq}, but the last assigned number is {last}")


def _compare_fence_floor_and_epoch(tx: Tx, history: History, removed: retention.Facts, report: Report) -> None:
    stored, expected = meta.fence_floor(tx), removed.get("fence_floor", 0)
    if history.fence_floor is not None:
        expected = history.fence_floor
    if stored != expected:
        report(f"the fence floor is {stored}, but {expected} according to the events")
    epoch = meta.epoch(tx)
    if history.epoch not in (None, epoch):
        report(f"the epoch is {epoch}, but the newest restore set it to {history.epoch}")


def _compare_tasks(tx: Tx, history: History, removed: retention.Facts, report: Report) -> int:
    """Compare the tasks with their events. Return the number of tasks without any remaining event."""
    unchecked = 0
    ended: dict[int, int] = {row[0]: row[1] for row in _ENDED.each(tx)}
    latest = max(meta.clock_high(tx), history.latest) + LEASE_SECONDS_MAXIMUM * 1000 + LEASE_MARGIN_MS
    least = meta.fence_floor(tx)
    missing = set(history.tasks)
    for task_id, *stored, fence, expires_at in _TASKS.each(tx):
        state = history.tasks.get(task_id)
        missing.discard(task_id)
        if state is None and task_id > removed.get("tasks", 0):
            report(f"task {task_id} exists, but no event records its creation")
        elif state is None:
            unchecked += 1
        else:
            _compare_state(task_id, stored, state, report)
        lowest = max(0 if state is None else state.fence, ended.get(task_id, 0), least)
        if fence < lowest:
            report(f"task {task_id} has fence {fence}, though it had {lowest} before")
        elif state is not None and state.lease_fence not in (None, fence):  # a fence does not change during a lease
            report(f"task {task_id} has fence {fence}, but {state.lease_fence} in its events")
        if expires_at is not None and expires_at > latest:
            report(f"the lease on task {task_id} exceeds the maximum length")
    for task_id in sorted(missing):
        report(f"task {task_id} is missing, but no event records its deletion")
    return unchecked


def _compare_state(task_id: int, stored: list[Any], state: TaskState, report: Report) -> None:
    expected_values = (state.project_id, state.epic_id, state.status, state.holder)
    for name, value, expected in zip(("project", "epic", "status", "holder"), stored, expected_values, strict=True):
        if expected not in (UNKNOWN, value):
            report(f"task {task_id} has {name} {value}, but {expected} in its events")


def _compare_rows(tx: Tx, table: str, history: History, newest_removed_id: int, report: Report) -> None:
    """Compare the rows of a table with their digests. Ids up to `newest_removed_id` need no remaining event."""
    # `_compare_tasks` reports missing and unexpected tasks.
    sealed, (noun, is_of_task, *_) = history.seals.pop(table, {}), seals.TABLES[table]
    for row_id, digest in seals.digests_of_table(tx, table):
        seal = sealed.pop(row_id, None)
        if seal is None and row_id > newest_removed_id and table != "tasks":
            report(f"{noun} {row_id} exists, but no event records its creation")
        elif seal is not None and seal.digest != digest:
            report(f"{noun} {row_id} was changed, but no event records the change")
    for row_id, seal in sorted(sealed.items()):
        if table != "tasks" and history.is_expected(seal, is_of_task=is_of_task):
            report(f"{noun} {row_id} is missing, but no event records its deletion")
