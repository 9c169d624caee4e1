"""Generate a database of any size: tasks in all statuses, and ten events of each, with a valid hash chain.

The product creates the schema and inserts the tasks with its own statements, one transaction for many of them. The rows
of the events go in with `executemany`. Memory does not grow with the size, and `verify` accepts the result. Events
have no compact row of their task, so that ten million of them fit on a disk of 4 GB.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select

from project_manager.domain.actors import SYSTEM, Actor
from project_manager.domain.leases import UnlockReason
from project_manager.domain.statuses import EpicStatus, Status
from project_manager.domain.task_fields import PLAIN
from project_manager.plans.plan_format import PlanTask
from project_manager.services import lookup
from project_manager.store import bulk, chain, meta, seals, tasks
from project_manager.store import tables as schema
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import prepare
from project_manager.store.statement import Statement, bindparams
from project_manager.store.transaction import Tx

EVENTS_PER_TASK = 10
ROWS_PER_TRANSACTION = 20_000
CACHE_KB = 200_000
MOST_PROJECTS, LEAST_TASKS_OF_PROJECT = 20, 50
EPICS_PER_PROJECT = 5
TASKS_PER_AGENT = 10
RARE_WORD, COMMON_WORD = "zebra", "line"
"""Words of the search: five tasks have the first one, and every task has the second one."""

_DAY_MS = 86_400_000
_EVENTS_SINCE, _EVENTS_UNTIL = 79 * _DAY_MS, 2 * _DAY_MS
"""Ages of the oldest and the newest event. Retention keeps them all, and no lease was lost in the last day."""
_WORDS = ("login", "token", "cache", "index", "parser", "deploy", "release", "retry", "report", "upload")
_LABELS = ("backend", "frontend", "docs", "infra", "bug", "urgent")
_STATUSES = {Status.TODO: 45, Status.DONE: 40, Status.BACKLOG: 10, Status.CANCELLED: 5}
_DESCRIPTION = "What is to be done, in a line or two. " * 3
_DEFAULTS = {field.name: PlanTask.model_fields[field.name].get_default(call_default_factory=True) for field in PLAIN}

Progress = Callable[[str, int, int], None]


class _TaskRow(NamedTuple):
    """The columns of a task that its events contain."""

    id: int
    project_id: int
    epic_id: int | None
    name: str
    status: str
    priority: int


_INSERT_EVENT = Statement(insert(schema.events).values(bindparams(*chain.COLUMNS, "hash")))
_INSERT_AGENT = Statement(insert(schema.agents).values(bindparams(*schema.agents.c.keys())))
_INSERT_ENDED = Statement(insert(schema.ended_leases).values(bindparams(*schema.ended_leases.c.keys())))
_TASKS_AFTER = Statement(
    select(*[schema.tasks.c[name] for name in _TaskRow._fields])
    .where(schema.tasks.c.id > bindparam("after"))
    .order_by(schema.tasks.c.id)
    .limit(ROWS_PER_TRANSACTION)
)


def ensure(path: Path, tasks_wanted: int, progress: Progress) -> None:
    """Create the database unless the file exists. The file gets its name when it is complete."""
    if path.exists():
        return
    unfinished = path.with_suffix(".unfinished")
    for leftover in path.parent.glob(f"{unfinished.name}*"):
        leftover.unlink()
    create(unfinished, tasks_wanted, progress)
    unfinished.rename(path)


def create(path: Path, tasks_wanted: int, progress: Progress = lambda step, done, of: None) -> None:
    """Create a database with this number of tasks. `progress` gets the step, the rows done and their number."""
    prepare(path, auto_migrate=True)
    connection = driver.connect(str(path))
    try:
        connection.execute("PRAGMA synchronous = OFF")  # a partial file is deleted
        connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        _Generator(connection, tasks_wanted, progress).run()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


class _Generator:
    """Rows of one database, the same for each run with the same size."""

    def __init__(self, connection: Any, size: int, progress: Progress) -> None:
        self._connection = connection
        self._size = size
        self._progress = progress
        self._random = random.Random(size)
        self._now = int(time.time() * 1000)
        self._tx = Tx(connection, self._now - _EVENTS_SINCE, SYSTEM, "", max_attempts=3)
        self._agents = [f"agent-{number}" for number in range(max(TASKS_PER_AGENT, size // TASKS_PER_AGENT))]

    def run(self) -> None:
        with self._connection:
            epics = self._add_projects()
            rows = [(agent, "agent", self._tx.now, self._now - _EVENTS_UNTIL) for agent in self._agents]
            self._connection.executemany(_INSERT_AGENT.compiled(driver.DIALECT).sql, rows)
        self._add_tasks(epics)
        for turn in range(EVENTS_PER_TASK):
            self._add_events(turn)
        self._add_ended_leases()
        with self._connection:
            meta.raise_clock(self._tx, self._now - _EVENTS_UNTIL)

    def _add_projects(self) -> list[tuple[int, int]]:
        """Create the projects with their epics. Return (project id, epic id) of each epic."""
        found = []
        for number in range(min(MOST_PROJECTS, max(1, self._size // LEAST_TASKS_OF_PROJECT))):
            project = lookup.create_project(self._tx, f"Project {number}", "")
            for turn in range(EPICS_PER_PROJECT):
                epic = lookup.create_epic(self._tx, project.id, f"Epic {turn}", "", EpicStatus.ACTIVE, None)
                found.append((project.id, epic.id))
        return found

    def _add_tasks(self, epics: list[tuple[int, int]]) -> None:
        """Insert the tasks. Each twentieth open one waits for the task before it."""
        for first in range(0, self._size, ROWS_PER_TRANSACTION):
            with self._connection:
                waits: dict[int, list[int]] = {}
                previous = 0
                for number in range(first, min(first + ROWS_PER_TRANSACTION, self._size)):
                    values = self._task(number, *self._random.choice(epics))
                    task_id = tasks.add(self._tx, values)
                    self._add_log(task_id)
                    if number % 20 == 19 and previous and values["status"] == Status.TODO:
                        waits[task_id] = [previous]
                    previous = task_id
                bulk.replace_dependencies(self._tx, waits)
                bulk.recount(self._tx, sorted({*waits, *(other for others in waits.values() for other in others)}))
            self._progress("tasks", min(first + ROWS_PER_TRANSACTION, self._size), self._size)

    def _task(self, number: int, project_id: int, epic_id: int) -> dict[str, Any]:
        pick = self._random
        (status,) = pick.choices(list(_STATUSES), list(_STATUSES.values()))
        rare = f" {RARE_WORD}" if number % max(1, self._size // 5) == 0 else ""
        return {
            **_DEFAULTS,
            "name": f"Task {number} {pick.choice(_WORDS)} {pick.choice(_WORDS)}{rare}",
            "description": _DESCRIPTION,
            "priority": pick.randrange(5),
            "labels": pick.sample(_LABELS, pick.randrange(3)),
            "project_id": project_id,
            "epic_id": epic_id,
            "status": status.value,
            "created_by": SYSTEM.id,
            "created_at": self._tx.now,
            "completed_at": self._now - pick.randrange(_EVENTS_UNTIL, _EVENTS_SINCE) if status is Status.DONE else None,
            "fence": int(_was_leased(status)),
            "attempts": 0,
            "completed_by": None,
            "withheld": 0,
        }

    def _add_log(self, task_id: int) -> None:
        values = {"author": self._agent(task_id), "kind": "progress", "body": _DESCRIPTION, "created_at": self._tx.now}
        bulk.add(self._tx, "task_logs", {"task_id": task_id, **values})

    def _agent(self, task_id: int) -> str:
        return self._agents[task_id % len(self._agents)]

    def _add_events(self, turn: int) -> None:
        """Insert one event of each task: its creation in the first turn, the end of its lease in the last one."""
        head, total = chain.head(self._tx), self._size * EVENTS_PER_TASK
        done = turn * self._size
        for rows in self._pieces():
            written = []
            for task in rows:
                at = self._now - _EVENTS_SINCE + (_EVENTS_SINCE - _EVENTS_UNTIL) * done // total
                row = (head.seq + 1, *self._event(turn, task, at))
                head = chain.Head(row[0], chain.link(head.hash, row))
                written.append((*row, head.hash))
                done += 1
            with self._connection:
                self._connection.executemany(_INSERT_EVENT.compiled(driver.DIALECT).sql, written)
            self._progress("events", done, total)

    def _pieces(self) -> Iterator[list[_TaskRow]]:
        last = 0
        while rows := _TASKS_AFTER.all(self._tx, _TaskRow._make, after=last):
            yield rows
            last = rows[-1].id

    def _event(self, turn: int, task: _TaskRow, at: int) -> tuple[Any, ...]:
        """Return the columns of an event between `seq` and `hash`."""
        actor = Actor(self._agent(task.id), "agent") if turn else SYSTEM
        event_type, data = _life(turn, task, actor.id, at)
        sealed = None if turn else orjson.dumps(self._digests(task.id)).decode()
        where = (task.project_id, task.epic_id, task.id)
        return (event_type, at, actor.id, actor.kind, *where, orjson.dumps(data).decode(), None, None, sealed)

    def _digests(self, task_id: int) -> seals.Digests:
        own = seals.stored(self._tx, "tasks", "id", task_id)
        return own | seals.stored(self._tx, "task_logs", "task_id", task_id)

    def _add_ended_leases(self) -> None:
        for rows in self._pieces():
            ended = [
                {
                    "task_id": task.id,
                    "fence": 1,
                    "agent_id": self._agent(task.id),
                    "project_id": task.project_id,
                    "task_name": task.name,
                    "acquired_at": self._now - _EVENTS_SINCE,
                    "expires_at": self._now - _EVENTS_UNTIL,
                    "ended_at": self._now - _EVENTS_UNTIL - task.id % _DAY_MS,
                    "reason": UnlockReason.AUTO_RELEASE.value,
                    "status": task.status,
                }
                for task in rows
                if _was_leased(Status(task.status))
            ]
            with self._connection:
                self._connection.executemany(
                    _INSERT_ENDED.compiled(driver.DIALECT).sql, [tuple(row.values()) for row in ended]
                )


def _was_leased(status: Status) -> bool:
    return status is Status.DONE


def _life(turn: int, task: _TaskRow, agent: str, at: int) -> tuple[str, dict[str, Any]]:
    """Return the type and the data of the event of a task in this turn."""
    leased = _was_leased(Status(task.status))
    if turn == 0:
        status = Status.TODO.value if leased else task.status
        return "task.created", {"name": task.name, "status": status, "priority": task.priority, "version": 1}
    if turn == 1 and leased:
        lock = {"holder": agent, "acquired_at": at, "expires_at": at + 900_000, "ttl_seconds": 900, "fence": 1}
        status = Status.IN_PROGRESS.value
        return "task.locked", {"agent_id": agent, "status": status, "timeout": 900, "version": 2, "lock": lock}
    if turn == EVENTS_PER_TASK - 1 and leased:
        reason = UnlockReason.AUTO_RELEASE.value
        ended = {"agent_id": agent, "reason": reason, "status": task.status, "attempts": 0, "version": 3}
        return "task.unlocked", ended
    return "task.logged", {"log_id": task.id, "author": agent, "kind": "progress"}
