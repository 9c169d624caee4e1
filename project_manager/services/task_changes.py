"""Changes of one task, by the rules of its single edits, with the former values that undo them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from project_manager.domain.errors import Invalid, OfferRefused
from project_manager.domain.events.tasks import TaskUpdated
from project_manager.domain.limits import LABELS
from project_manager.domain.offers import OfferReason
from project_manager.domain.statuses import CLOSED, TRANSITIONS, BlockedBy, Status
from project_manager.domain.task_fields import INSTANTS, TASK_FIELDS
from project_manager.schemas.bulk_edits import TaskChanges, TaskEdit
from project_manager.services import lookup, offers, readiness, serializers, tasks, transitions
from project_manager.services.authorization import check_write, renew_on_write
from project_manager.services.serializers import NO_IDS, lease_of, offer_of
from project_manager.services.statuses import StatusChange, change_status
from project_manager.store import bulk_edits
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx, savepoint

LINKED = ("depends_on", "conflicts_with", "parent_id", "paths")
"""The fields with a cost that grows with other tasks. A request changes them for one task only."""
_COLUMNS = {found.name: found for found in TASK_FIELDS if found.editable and found.column and found.name not in LINKED}
"""The other editable fields. Each is one column."""
_OF_READINESS = frozenset({"defer_until", "attempts"})
"""The columns that can make a task ready."""

Former = dict[str, Any]
"""The values of the fields before a change, in the format of `TaskEdit`."""
_Step = Callable[[TaskRow, Former], TaskRow]
"""A step of a change. It writes the task, adds the former values of the fields that it writes, and returns the task."""


@dataclass(slots=True)
class Editor:
    """Changes tasks one after the other in a transaction.

    `ready_later` are the tasks that `readiness.emitted_once` checks at the end. `_moved` are the tasks with a new
    status, and `_near_moved` those with counters that such a move may have changed.
    """

    tx: Tx
    ready_later: dict[int, None]
    force: bool
    note: str
    _available: dict[str, bool] = field(default_factory=dict)
    _moved: set[int] = field(default_factory=set)
    _near_moved: set[int] = field(default_factory=set)

    def change(self, row: TaskRow, changes: TaskChanges) -> tuple[TaskRow, Former]:
        """Apply the changes to a task, all of them or none. Return the task and the former values.

        A task that has the values already keeps its version. Raises the errors of the single edits.
        """
        row = self._present(row)
        check_write(self.tx, row, None, force=self.force)
        steps = [*self._steps(row, changes)]
        former: Former = {}
        written = row
        is_linked = not changes.model_fields_set.isdisjoint(LINKED)
        if len(steps) == 1 and not is_linked:  # other steps check everything before they write
            written = steps[0](row, former)
        elif steps:
            with savepoint(self.tx):
                for step in steps:
                    written = step(written, former)
        if self.tx.actor.is_agent and written.version != row.version:
            written = renew_on_write(self.tx, written, None)
        return written, former

    def _present(self, row: TaskRow) -> TaskRow:
        """Return the task. Read it again if an earlier move may have changed its counters or blockers."""
        if not self._moved:
            return row
        others = {*_ids(row.depends_on), *_ids(row.conflicts_with)}
        is_near = row.id in self._near_moved or not others.isdisjoint(self._moved) or row.paths != NO_IDS
        return lookup.task(self.tx, row.id) if is_near else row

    def _steps(self, row: TaskRow, changes: TaskChanges) -> Iterator[_Step]:
        """Yield the steps that change the task, in their order. Raises Invalid, OfferRefused, ExternalKeyTaken."""
        given = changes.model_fields_set
        linked = {name: getattr(changes, name) for name in LINKED if name in given}
        moves = self._moves(row, changes)
        values = _new_values(row, changes)
        if moves:
            _check_no_claim(self.tx, changes)
            values.pop("attempts", None)  # the move stores them
        self._check_values(row, values)
        if linked:
            yield lambda row, former: self._edit_linked(row, {**values, **linked}, former)
        elif values:
            yield lambda row, former: self._edit_fields(row, values, former)
        if moves:
            yield from (self._mover(status, changes) for status in _path_to(row, changes))
        if "assigned_to" in given and changes.assigned_to != offer_of(row, self.tx.now):
            self._check_offer(row, changes, moves=moves)
            yield lambda row, former: self._offer(row, changes.assigned_to, former)

    def _moves(self, row: TaskRow, changes: TaskChanges) -> bool:
        """Return whether the changes set another status, or end a lease."""
        if changes.status is None:
            return False
        return changes.status.value != row.status or lease_of(row, self.tx.now) is not None

    def _check_values(self, row: TaskRow, values: dict[str, Any]) -> None:
        """Check the new values of the columns of a task. Raises Invalid, ExternalKeyTaken, EpicNotFound."""
        if len(values.get("labels", ())) > LABELS:
            hint = "Remove labels in the same edit with remove_labels."
            raise Invalid.of("add_labels", f"task {row.id} would have more than {LABELS} labels", hint)
        if values.get("epic_id") is not None:
            lookup.get_or_create_epic(self.tx, lookup.project(self.tx, row.project_id), values["epic_id"], None)
        if values.get("external_key") is not None:
            tasks.check_key(self.tx, row.project_id, values["external_key"], row.id)

    def _edit_fields(self, row: TaskRow, values: dict[str, Any], former: Former) -> TaskRow:
        written = bulk_edits.update_fields(self.tx, row, values)
        changes = {name: _as_view(name, value) for name, value in values.items()}
        previous = {name: _as_view(name, _COLUMNS[name].from_column(getattr(row, name))) for name in values}
        transitions.emit(self.tx, TaskUpdated(changes=changes, previous=previous, version=written.version), written)
        former |= previous
        if not _OF_READINESS.isdisjoint(values) and not readiness.is_ready(self.tx, row):
            readiness.emit_ready(self.tx, [row.id])
        return written

    def _edit_linked(self, row: TaskRow, values: dict[str, Any], former: Former) -> TaskRow:
        """Edit the links or the paths of the only task of the request."""
        before: dict[str, Any] = {**serializers.task(self.tx, row)}
        values = {name: value for name, value in values.items() if name not in LINKED or value != before[name]}
        if not values:
            return row
        written = tasks.edit(self.tx, row, values)
        after: dict[str, Any] = {**serializers.task(self.tx, written)}
        former |= {name: before[name] for name in values if before[name] != after[name]}
        return written

    def _mover(self, status: Status, changes: TaskChanges) -> _Step:
        return lambda row, former: self._move(row, status, changes, former)

    def _move(self, row: TaskRow, status: Status, changes: TaskChanges, former: Former) -> TaskRow:
        """Set a status on the path to that of the changes."""
        attempts = changes.attempts if "attempts" in changes.model_fields_set else None
        exhausted = status is Status.BLOCKED and attempts is not None and 0 < self.tx.max_attempts <= attempts
        change = StatusChange(
            status,
            reopen=changes.reopen,
            force=self.force,
            summary=self.note,
            blocked_by=BlockedBy.ATTEMPTS if exhausted else None,
            attempts=attempts,
            keeps_policy=True,
            **(self._restored(changes) if isinstance(changes, TaskEdit) else {}),
        )
        updated, _ = change_status(self.tx, row, change)
        if updated.version == row.version:
            return row
        self._note_moved(row)
        _add_former_status(self.tx, row, updated, former)
        return updated

    def _restored(self, changes: TaskEdit) -> dict[str, Any]:
        """Return the facts that an undo restores with the status."""
        completed_at = None if self.tx.actor.is_agent else changes.completed_at
        return {"submission_id": changes.submission_id, "completed_at": completed_at and min(completed_at, self.tx.now)}

    def _note_moved(self, row: TaskRow) -> None:
        self._moved.add(row.id)
        self._near_moved.update(_ids(row.depends_on))
        if row.parent_id is not None:
            self._near_moved.add(row.parent_id)

    def _check_offer(self, row: TaskRow, changes: TaskChanges, *, moves: bool) -> None:
        """Check that the task can be offered to the agent after the move. Raises OfferRefused."""
        agent = changes.assigned_to
        if agent is None:
            return
        status = changes.status or Status(row.status)
        if status is not Status.TODO or (lease_of(row, self.tx.now) is not None and not moves):
            raise OfferRefused(f"task {row.id} is {status}: only a task in TODO is offered to an agent", task_id=row.id)
        if agent not in self._available:
            self._available[agent] = offers.is_available(self.tx, agent)
        if not self._available[agent]:
            raise OfferRefused(f"agent {agent!r} has made no call in the last 2 minutes, or is paused", agent_id=agent)

    def _offer(self, row: TaskRow, agent: str | None, former: Former) -> TaskRow:
        """End the present offer of the task, and offer it to the agent, if one is given."""
        former["assigned_to"] = offer_of(row, self.tx.now)
        row = bulk_edits.update_fields(self.tx, row, {})  # so that the task has another version
        if row.offered_to is not None:
            row = offers.end(self.tx, row)
        if agent is None:
            return row
        self.ready_later.pop(row.id, None)  # only its agent can claim it, which the event of the offer says
        return offers.offer(self.tx, row, agent, OfferReason.ASSIGNED)


def _check_no_claim(tx: Tx, changes: TaskChanges) -> None:
    """Check that an agent does not set IN_PROGRESS, which would be a claim of many tasks. Raises Invalid."""
    if changes.status is Status.IN_PROGRESS and tx.actor.is_agent:
        hint = "Claim each task with claim_next_task or acquire_task_lock."
        raise Invalid.of("status", "an agent cannot claim tasks by an edit of many", hint)


def _new_values(row: TaskRow, changes: TaskChanges) -> dict[str, Any]:
    """Return the values that differ from those of the task, by column."""
    values = {name: getattr(changes, name) for name in _COLUMNS if name in changes.model_fields_set}
    if changes.add_labels or changes.remove_labels:
        present = values.get("labels", orjson.loads(row.labels))
        labels = dict.fromkeys([*present, *changes.add_labels])
        values["labels"] = [label for label in labels if label not in changes.remove_labels]
    before = {name: _COLUMNS[name].from_column(getattr(row, name)) for name in values}
    return {name: value for name, value in values.items() if value != before[name]}


def _path_to(row: TaskRow, changes: TaskChanges) -> list[Status]:
    """Return the statuses to set, one after the other. An undo goes through TODO where no transition is direct."""
    current, target = Status(row.status), changes.status or Status(row.status)
    is_undo = isinstance(changes, TaskEdit) and changes.version is not None
    is_direct = target in TRANSITIONS[current]
    leads_through_todo = Status.TODO in TRANSITIONS[current] and target in TRANSITIONS[Status.TODO]
    return [Status.TODO, target] if is_undo and not is_direct and leads_through_todo else [target]


def _add_former_status(tx: Tx, row: TaskRow, updated: TaskRow, former: Former) -> None:
    """Add the status before a move, and the values without which the opposite move is refused or loses attempts.

    An ended lease does not come back, so the undo returns its task to the status from which it was claimed.
    """
    before = row.lock_from or Status.TODO.value if lease_of(row, tx.now) is not None else row.status
    former.setdefault("status", before)
    if former["status"] == updated.status:
        del former["status"]
    elif Status(updated.status) in CLOSED:
        former["reopen"] = True
    if updated.attempts != row.attempts:
        former.setdefault("attempts", row.attempts)
    if updated.status != Status.REVIEW and row.submission_id is not None and former.get("status") == Status.REVIEW:
        former["submission_id"] = row.submission_id
    if row.completed_at is not None:
        former["completed_at"] = serializers.time_or_none(row.completed_at)


def _ids(text: str) -> list[int]:
    found: list[int] = [] if text == NO_IDS else orjson.loads(text)
    return found


def _as_view(name: str, value: Any) -> Any:
    return serializers.time_or_none(value) if _COLUMNS[name].kind in INSTANTS else value
