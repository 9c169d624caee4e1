"""Messages, and the receipt of each agent that got one.

A message is `open` until it is acknowledged or expires, and one to a project until it expires. It needs `attention`
while a steer or a stop is not acknowledged, and after it has expired unread.
"""

import json
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, insert, or_, select, union, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.messages import DELIVERED_AT_ONCE, REPEAT_MS
from project_manager.store import pages, rare_states
from project_manager.store.functions import Number
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams, is_among
from project_manager.store.tables import tasks
from project_manager.store.tables_messages import message_receipts, messages
from project_manager.store.transaction import Tx


class MessageRow(NamedTuple):
    """A stored message. Times are in milliseconds since the epoch."""

    id: int
    kind: str
    sender: str
    sender_kind: str
    to_agent: str | None
    to_task: int | None
    to_project: int | None
    body: str
    created_at: int
    expires_at: int
    open: int
    attention: int


class ReceiptRow(NamedTuple):
    """A receipt. `delivered_at` is the first delivery, `repeated_at` the newest one."""

    message_id: int
    agent_id: str
    delivered_at: int
    repeated_at: int
    acknowledged_at: int | None


class DueMessage(NamedTuple):
    """A message that an agent gets now, with its first delivery to the agent, if any."""

    message: MessageRow
    delivered_at: int | None


ADDRESSEES = 1000
"""Maximum number of addressees that a batch keeps. With more, each call looks for its messages."""
_ONE: Any = literal_column("1")
_COLUMNS = [messages.c[name] for name in MessageRow._fields]
_receipt = message_receipts.c
_is_open = messages.c.open == _ONE
_ADD = Statement(insert(messages).values(bindparams(*MessageRow._fields[1:])).returning(*_COLUMNS))
_GET = Statement(select(*_COLUMNS).where(messages.c.id == bindparam("message_id")))
_held = (
    select(tasks.c.id)
    .where(tasks.c.lock_holder == bindparam("agent"), tasks.c.lock_expires_at > bindparam("now"))
    .correlate(None)
)
_is_addressee = or_(
    and_(_is_open, messages.c.to_agent == bindparam("agent")),
    # A stop names the holder at that time, because it ends the lease.
    and_(_is_open, messages.c.to_agent.is_(None), messages.c.to_task.in_(_held)),
    and_(_is_open, messages.c.to_project.in_(_held.with_only_columns(tasks.c.project_id))),
)
_of_agent = and_(_receipt.message_id == messages.c.id, _receipt.agent_id == bindparam("agent"))
_due = (
    messages.c.expires_at > bindparam("now"),
    messages.c.sender != bindparam("agent"),
    _is_addressee,
    _receipt.acknowledged_at.is_(None),
    or_(_receipt.repeated_at.is_(None), _receipt.repeated_at <= bindparam("before")),
)
_with_receipt = messages.outerjoin(message_receipts, _of_agent)
_urgency = case(
    (messages.c.kind == literal_column("'stop'"), literal_column("0")),
    (messages.c.kind == literal_column("'steer'"), _ONE),
    else_=literal_column("2"),
)
_DUE = Statement(
    select(*_COLUMNS, _receipt.delivered_at)
    .select_from(_with_receipt)
    .where(*_due)
    .order_by(_urgency, messages.c.id)
    .limit(literal_column(str(DELIVERED_AT_ONCE)))
)
_ADDRESSEES = Statement(select(messages.c.to_agent).where(_is_open).distinct().limit(literal_column(str(ADDRESSEES))))
_DELIVER = Statement(
    upsert(message_receipts)
    .values(**bindparams("message_id", "agent_id"), delivered_at=bindparam("now"), repeated_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=[_receipt.message_id, _receipt.agent_id], set_={"repeated_at": bindparam("now")}
    )
)
_ACKNOWLEDGE = Statement(
    upsert(message_receipts)
    .values(
        **bindparams("message_id", "agent_id"),
        **dict.fromkeys(("delivered_at", "repeated_at", "acknowledged_at"), bindparam("now")),
    )
    .on_conflict_do_update(
        index_elements=[_receipt.message_id, _receipt.agent_id], set_={"acknowledged_at": bindparam("now")}
    )
)
_UNACKNOWLEDGED = Statement(
    select(*_COLUMNS)
    .select_from(_with_receipt)
    .where(
        is_among(messages.c.id, "ids"),
        or_(messages.c.to_agent == bindparam("agent"), _receipt.message_id.is_not(None)),
        _receipt.acknowledged_at.is_(None),
    )
    .order_by(messages.c.id)
)
_SET = Statement(
    update(messages).where(messages.c.id == bindparam("message_id")).values(bindparams("open", "attention"))
)
_EXPIRED = Statement(
    select(*_COLUMNS)
    .where(_is_open, messages.c.expires_at <= bindparam("now"))
    .order_by(messages.c.expires_at)
    .limit(bindparam("limit"))
)
_RECEIPTS = Statement(
    select(*message_receipts.c)
    .where(is_among(_receipt.message_id, "ids"))
    .order_by(_receipt.message_id, _receipt.delivered_at, _receipt.agent_id)
)
_DELETE_OLDER = Statement(
    delete(messages).where(
        messages.c.id.in_(
            select(messages.c.id)
            .where(messages.c.open == literal_column("0"), messages.c.created_at < bindparam("before"))
            .order_by(messages.c.id)
            .limit(bindparam("limit"))
        )
    )
)
_NUMBERS = Statement(select(messages.c.kind, func.count()).where(_is_open).group_by(messages.c.kind))
_targets = {name: getattr(messages.c, name) == bindparam(name) for name in ("to_agent", "to_task", "to_project")}


def add(tx: Tx, values: dict[str, Any]) -> MessageRow:
    """Insert a message of the actor and return it."""
    fields = {"sender": tx.actor.id, "sender_kind": tx.actor.kind, "created_at": tx.now, **values}
    row = MessageRow._make(_ADD.row(tx, **fields) or ())
    rare_states.mark(tx, messages=True)
    if tx.batch is not None:
        tx.batch.addressees = None
    return row


def get(tx: Tx, message_id: int) -> MessageRow | None:
    return _GET.one(tx, MessageRow._make, message_id=message_id)


def due(tx: Tx) -> list[DueMessage]:
    """Return the messages that the actor gets now, the most urgent and then the oldest first.

    A message to a task or a project is for the agents that hold it, or a task of it.
    """
    if not _may_have(tx, tx.actor.id):
        return []
    rows = _DUE.rows(tx, agent=tx.actor.id, now=tx.now, before=tx.now - REPEAT_MS)
    return [DueMessage(MessageRow._make(row[:-1]), row[-1]) for row in rows]


def _may_have(tx: Tx, agent: str) -> bool:
    """Return whether an open message may be for the agent. A batch reads the addressees at most once."""
    if not rare_states.read(tx).messages:
        return False
    if tx.batch is None:
        return True
    if tx.batch.addressees is None:
        tx.batch.addressees = frozenset(row[0] for row in _ADDRESSEES.rows(tx))
    found = tx.batch.addressees
    return agent in found or None in found or len(found) == ADDRESSEES


def deliver(tx: Tx, message_id: int) -> None:
    """Record that the actor gets the message now."""
    _DELIVER.write(tx, message_id=message_id, agent_id=tx.actor.id, now=tx.now)


def unacknowledged(tx: Tx, ids: Collection[int]) -> list[MessageRow]:
    """Return those of these messages that the actor has got, or that are for it, and has not acknowledged."""
    return _UNACKNOWLEDGED.all(tx, MessageRow._make, ids=json.dumps([*ids]), agent=tx.actor.id)


def acknowledge(tx: Tx, message_id: int) -> None:
    """Record that the actor acknowledges the message now."""
    _ACKNOWLEDGE.write(tx, message_id=message_id, agent_id=tx.actor.id, now=tx.now)


def set_flags(tx: Tx, row: MessageRow, *, is_open: bool, attention: bool) -> None:
    _SET.write(tx, message_id=row.id, open=int(is_open), attention=int(attention))


def expired(tx: Tx, limit: int) -> list[MessageRow]:
    """Return up to `limit` open messages that have expired."""
    return _EXPIRED.all(tx, MessageRow._make, now=tx.now, limit=limit) if rare_states.read(tx).messages else []


def receipts(tx: Tx, ids: Collection[int]) -> dict[int, list[ReceiptRow]]:
    """Return the receipts of messages by message, the first delivery first."""
    found: dict[int, list[ReceiptRow]] = {message_id: [] for message_id in ids}
    for row in _RECEIPTS.rows(tx, ids=json.dumps([*ids])) if ids else []:
        found[row[0]].append(ReceiptRow._make(row))
    return found


def delete_older(tx: Tx, before: int, limit: int) -> int:
    """Delete up to `limit` closed messages from before the instant, and return their number."""
    return _DELETE_OLDER.run(tx, before=before, limit=limit)


def numbers(tx: Tx) -> dict[str, int]:
    """Return the number of open messages by kind."""
    return {row[0]: row[1] for row in _NUMBERS.rows(tx)}


@lru_cache(maxsize=4)
def _open_to(name: str) -> Statement:
    found = select(messages.c.id).where(_is_open, _targets[name]).limit(bindparam("most")).subquery("open_message")
    return Statement(select(func.count()).select_from(found))


def open_to(tx: Tx, name: str, target: int | str, most: int) -> int:
    """Return the number of open messages to a target, at most `most`. `name` is the column of the target."""
    return int(_open_to(name).value(tx, **{name: target}, most=most))


class _Group(NamedTuple):
    """Messages that fit one of several conditions. `entries` has a query of ids for each, which reads one index.

    Neither database combines these indexes in the order of a page by itself: it would read all of the messages.
    """

    entries: tuple[Select[Any], ...]
    condition: ColumnElement[bool]


def _of(agent: ColumnElement[Any]) -> _Group:
    """Return the messages from and to an agent."""
    ids, got = select(messages.c.id), select(_receipt.message_id.label("id")).where(_receipt.agent_id == agent)
    entries = (ids.where(messages.c.to_agent == agent), ids.where(messages.c.sender == agent), got)
    has_got = got.where(_receipt.message_id == messages.c.id).correlate(messages).exists()
    return _Group(entries, or_(messages.c.to_agent == agent, messages.c.sender == agent, has_got))


def _for_person(agent: ColumnElement[Any]) -> _Group:
    """Return the messages that need the attention of a person, and the open ones to the person."""
    needs, to_person = messages.c.attention == _ONE, and_(_is_open, messages.c.to_agent == agent)
    ids = select(messages.c.id)
    return _Group((ids.where(needs), ids.where(to_person)), or_(needs, to_person))


def _ids(group: _Group, narrowed: Callable[[Select[Any]], Select[Any]] = lambda entries: entries) -> Select[Any]:
    """Return the query of the ids of a group. `narrowed` leaves out entries that the whole does not need."""
    found = union(*(select(narrowed(entries).subquery().c.id) for entries in group.entries)).subquery()
    return select(found.c.id)


def _newest(entries: Select[Any]) -> Select[Any]:
    """Return the entries that a page can need."""
    (key,) = entries.selected_columns
    return entries.where(key < bindparam("before", type_=Number)).order_by(key.desc()).limit(bindparam("limit"))


@lru_cache(maxsize=16)
def _listed(own: bool, attention: bool, of_participant: bool, to_task: bool) -> tuple[Statement, Statement]:
    """Return the page and the counter of messages: those of the actor, or those that need the attention of a person."""
    agent: Any = bindparam("agent")
    groups = [_for_person(agent)] if attention else []  # the smallest one is first
    groups += [_of(bindparam("participant"))] if of_participant else []
    groups += [_of(agent)] if own else []
    page = select(*_COLUMNS).where(messages.c.id < bindparam("before")).order_by(messages.c.id.desc())
    page = page.limit(bindparam("limit"))
    if len(groups) == 1 and not to_task:
        counted = _ids(groups[0], lambda entries: entries.limit(bindparam("most")))
        return Statement(page.where(messages.c.id.in_(_ids(groups[0], _newest)))), pages.counter(counted)
    if to_task:
        conditions = [messages.c.to_task == bindparam("to_task"), *(group.condition for group in groups)]
    else:
        first = [messages.c.id.in_(_ids(group)) for group in groups[:1]]
        conditions = [*first, *(group.condition for group in groups[1:])]
    return Statement(page.where(*conditions)), pages.counter(select(messages).where(*conditions))


class Selection(NamedTuple):
    """The messages of a list.

    `own` selects messages from and to the actor, `participant` those from and to an agent, `to_task` those to the
    holder of a task. `attention` selects those that need a person, and open ones to the actor.
    """

    own: bool
    attention: bool
    participant: str | None = None
    to_task: int | None = None

    def statements(self) -> tuple[Statement, Statement]:
        return _listed(self.own, self.attention, self.participant is not None, self.to_task is not None)

    def values(self, tx: Tx) -> dict[str, str | int]:
        agent = tx.actor.id if self.own or self.attention else None
        values = {"agent": agent, "participant": self.participant, "to_task": self.to_task}
        return {name: value for name, value in values.items() if value is not None}


def page(tx: Tx, chosen: Selection, *, before: int, limit: int) -> tuple[list[MessageRow], bool]:
    """Return a page of messages with ids below `before`, newest first, and whether more follow."""
    values = {**chosen.values(tx), "before": before}
    return pages.page(tx, MessageRow._make, chosen.statements()[0], values, limit)


def count(tx: Tx, chosen: Selection, *, exact: bool) -> Total:
    return pages.count(tx, chosen.statements()[1], chosen.values(tx), exact=exact)
