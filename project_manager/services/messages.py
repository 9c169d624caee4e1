"""Use cases of messages: send, list and acknowledge them, and deliver them with the response of another call."""

from collections.abc import Collection, Sequence
from functools import partial

from project_manager.clock import rfc3339
from project_manager.domain.actors import LOCAL, Actor, Role, has_unbound_token, is_reserved
from project_manager.domain.errors import Invalid, MailboxFull, NotHeld, RoleRequired
from project_manager.domain.events.messages import (
    MessageAcknowledged,
    MessageDelivered,
    MessageEvent,
    MessageExpired,
    MessageSent,
)
from project_manager.domain.limits import ID_MAXIMUM, OPEN_MESSAGES
from project_manager.domain.messages import LIFETIME_MS, DeliveredMessage, MessageKind, MessageState, fitting, state_of
from project_manager.schemas.messages import (
    AcknowledgedView,
    AcknowledgeMessages,
    ListMessages,
    MessageView,
    ReceiptView,
    SendMessage,
    SentMessageView,
)
from project_manager.schemas.views import Page
from project_manager.services import lookup, paging, stops
from project_manager.services.lease_errors import state_of as state_of_task
from project_manager.services.serializers import lease_of, time_or_none, view_of
from project_manager.store import events, messages, tokens
from project_manager.store.messages import MessageRow, ReceiptRow, Selection
from project_manager.store.transaction import Tx

EXPIRED_AT_ONCE = 256
_TARGETS = ("to_agent", "to_task", "to_project")


def check_stop(command: SendMessage, actor: Actor, interface: str) -> None:
    """Check that only an operator sends a stop. Raises RoleRequired.

    Over MCP the operator needs a token that is not bound to an agent.
    """
    is_agent = interface == "mcp" and not has_unbound_token(actor)
    if command.kind is MessageKind.STOP and (actor.role < Role.OPERATOR or is_agent):
        raise RoleRequired(
            "a stop requires the role operator, over MCP a token that is not bound to an agent",
            hint="Send a steer. A person can stop an agent on the dashboard or over REST.",
            required=Role.OPERATOR.name.lower(),
        )


def send(tx: Tx, command: SendMessage) -> SentMessageView:
    """Write to an agent, person or task's holder.

    `to_project` is for all agents that hold a task of the project. The message comes with the next response to its
    addressee, and again once a minute until it is acknowledged. A note is acknowledged by the next call of the agent, a
    steer by its id. A stop is for operators: it ends the leases of the agent, or the lease on the task, and the tasks
    become BLOCKED. A stopped agent writes nothing until an operator ends its pause.
    """
    target = _target(tx, command)
    _check_mailbox(tx, command, target)
    stopped_agent = _agent_to_stop(tx, command, target) if command.kind is MessageKind.STOP else None
    values = {
        **{name: getattr(command, name) for name in _TARGETS},
        "to_agent": command.to_agent or stopped_agent,
        "kind": command.kind.value,
        "body": command.body,
        "expires_at": _expiry(tx, command),
        "open": 1,
        "attention": int(command.kind is not MessageKind.NOTE),
    }
    row = messages.add(tx, values)
    _emit(tx, MessageSent, row, row.to_agent)
    stopped = _stop(tx, command) if command.kind is MessageKind.STOP else []
    return view_of(SentMessageView, row, state=MessageState.SENT.value, stopped=stopped)


def _expiry(tx: Tx, command: SendMessage) -> int:
    """Return the instant of the expiry. Raises Invalid."""
    if command.expires_at is None:
        return tx.now + LIFETIME_MS
    if command.expires_at <= tx.date:
        raise Invalid.of("expires_at", "`expires_at` is in the past", "Send a later time, or omit it.")
    return command.expires_at + tx.now - tx.date


def list_messages(tx: Tx, command: ListMessages) -> Page[MessageView]:
    """List messages, newest first, with their receipts: those from and to the caller, for operators all.

    `attention` selects steers and stops that are not acknowledged, messages that expired unread, and open messages to
    the caller. Viewers get no bodies.
    """
    own = tx.actor.is_agent or tx.actor.role < Role.OPERATOR
    chosen = Selection(own=own, attention=command.attention, participant=command.participant, to_task=command.to_task)
    filters: dict[str, object] = {"messages": tx.actor.id if own else "all", "attention": command.attention}
    for name in ("participant", "to_task"):
        if getattr(command, name) is not None:
            filters[name] = getattr(command, name)
    before = paging.start_id(command, filters, ID_MAXIMUM)
    rows, has_more = messages.page(tx, chosen, before=before, limit=command.limit)
    receipts = messages.receipts(tx, [row.id for row in rows])
    count = partial(messages.count, tx, chosen)
    return paging.page(command, filters, rows, has_more, count, item=lambda row: _view(tx, row, receipts[row.id]))


def acknowledge(tx: Tx, command: AcknowledgeMessages) -> AcknowledgedView:
    """Acknowledge messages by their ids. Those of other addressees are left out.

    An operator that is a person also closes messages of others, so that they no longer need attention.
    """
    found = [row.id for row in acknowledge_ids(tx, command.ids)]
    if not tx.actor.is_agent and tx.actor.role >= Role.OPERATOR:
        for message_id in command.ids:
            row = messages.get(tx, message_id)
            if row is not None and row.attention:
                messages.set_flags(tx, row, is_open=False, attention=False)
                found.append(row.id)
    return AcknowledgedView(acknowledged=sorted({*found}))


def acknowledge_ids(tx: Tx, ids: Collection[int]) -> list[MessageRow]:
    """Acknowledge the messages that the actor has got, and return those that were not acknowledged before."""
    found = messages.unacknowledged(tx, ids) if ids and not _is_substitute(tx) else []
    for row in found:
        messages.acknowledge(tx, row.id)
        messages.set_flags(tx, row, is_open=row.to_project is not None and bool(row.open), attention=False)
        _emit(tx, MessageAcknowledged, row, tx.actor.id)
    return found


def has_due(tx: Tx) -> bool:
    """Return whether a message is to be delivered to the actor now. Calls of a viewer get none."""
    is_addressee = tx.actor.is_agent and tx.actor.role >= Role.AGENT
    return is_addressee and bool(messages.due(tx)) and not _is_substitute(tx)


def deliver(tx: Tx) -> list[DeliveredMessage]:
    """Return the messages for the response to the actor, and record their delivery."""
    if not tx.actor.is_agent or tx.actor.role < Role.AGENT:
        return []
    due = messages.due(tx)
    if not due or _is_substitute(tx):
        return []
    found = fitting(_delivered(one.message) for one in due)
    for one in due[: len(found)]:
        messages.deliver(tx, one.message.id)
        if one.delivered_at is None:
            _emit(tx, MessageDelivered, one.message, tx.actor.id)
    return found


def _is_substitute(tx: Tx) -> bool:
    """Return whether an operator acts as an agent that has a token of its own, which gets the messages instead."""
    actor = tx.actor
    return actor.token_id is not None and actor.is_agent and not actor.bound and tokens.is_bound(tx, actor.id)


def expire_due(tx: Tx) -> None:
    """Close the messages that have expired. Those that no addressee acknowledged need attention.

    A message to a project is expected to reach any number of agents. It needs attention only if it reached none.
    """
    rows = messages.expired(tx, EXPIRED_AT_ONCE)
    receipts = messages.receipts(tx, [row.id for row in rows])
    for row in rows:
        messages.set_flags(tx, row, is_open=False, attention=row.to_project is None or not receipts[row.id])
        _emit(tx, MessageExpired, row, row.to_agent)


def _target(tx: Tx, command: SendMessage) -> str:
    """Return the name of the field with the addressee. Raises Invalid, TaskNotFound, ProjectNotFound."""
    named = [name for name in _TARGETS if getattr(command, name) is not None]
    if len(named) != 1:
        raise Invalid.of("to_agent", "a message has one addressee", "Send one of to_agent, to_task and to_project.")
    if command.to_agent is not None and is_reserved(command.to_agent) and command.to_agent != LOCAL.id:
        message = f"`to_agent` {command.to_agent!r} is reserved, so no caller has this name"
        raise Invalid.of("to_agent", message, "Send the id of an agent, or the name of a person's token.")
    if command.to_task is not None:
        lookup.task(tx, command.to_task)
    if command.to_project is not None:
        lookup.project(tx, command.to_project)
    return named[0]


def _check_mailbox(tx: Tx, command: SendMessage, target: str) -> None:
    """Check that the addressee has room for the message. A stop always has. Raises MailboxFull."""
    addressee = getattr(command, target)
    if command.kind is MessageKind.STOP or messages.open_to(tx, target, addressee, OPEN_MESSAGES) < OPEN_MESSAGES:
        return
    raise MailboxFull(f"{OPEN_MESSAGES} messages to this addressee are not acknowledged", addressee=addressee)


def _agent_to_stop(tx: Tx, command: SendMessage, target: str) -> str | None:
    """Return the agent that a stop concerns. Raises Invalid and NotHeld.

    The stop ends the lease, so its message is for the holder at this time.
    """
    if target == "to_project":
        raise Invalid.of("kind", "a project cannot be stopped", "Pause the project, or stop its agents one by one.")
    if command.to_task is None:
        return command.to_agent
    row = lookup.task(tx, command.to_task)
    lease = lease_of(row, tx.now)
    if lease is None:
        raise NotHeld(
            f"task {row.id} is not locked, so there is no work to stop; {state_of_task(tx, row)}",
            hint="To prevent the next claim, pause the task with POST /api/pauses.",
            task_id=row.id,
            holder=None,
            fence=row.fence,
        )
    return lease.holder


def _stop(tx: Tx, command: SendMessage) -> list[int]:
    """End the leases that the stop concerns, and return their tasks."""
    if command.to_task is None:
        return stops.stop_agent(tx, command.to_agent or "")
    stops.stop_task(tx, lookup.task(tx, command.to_task))
    return [command.to_task]


def _delivered(row: MessageRow) -> DeliveredMessage:
    return DeliveredMessage(
        row.id, row.kind, row.sender, row.body, row.to_task, row.to_project, rfc3339(row.created_at)
    )


def _view(tx: Tx, row: MessageRow, receipts: Sequence[ReceiptRow]) -> MessageView:
    acknowledged = [receipt.acknowledged_at is not None for receipt in receipts]
    state = state_of(
        delivered=bool(receipts),
        acknowledged=bool(receipts) and (all(acknowledged) if row.to_project is not None else any(acknowledged)),
        expired=row.expires_at <= tx.now,
    )
    return MessageView(
        id=row.id,
        kind=row.kind,
        sender=row.sender,
        to_agent=row.to_agent,
        to_task=row.to_task,
        to_project=row.to_project,
        body=row.body if tx.actor.role >= Role.AGENT else None,
        state=state.value,
        created_at=rfc3339(row.created_at),
        expires_at=rfc3339(row.expires_at),
        receipts=[
            ReceiptView(one.agent_id, rfc3339(one.delivered_at), time_or_none(one.acknowledged_at)) for one in receipts
        ],
    )


def _emit(tx: Tx, kind: type[MessageEvent], row: MessageRow, agent_id: str | None) -> None:
    event = kind(message_id=row.id, kind=row.kind, sender=row.sender, agent_id=agent_id)
    events.add(tx, event, project_id=row.to_project, task_id=row.to_task)
