"""Use cases of pauses: start, end and list them. A pause prevents new claims; present leases continue."""

from collections.abc import Collection
from functools import partial
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.actors import Actor, Role, has_unbound_token, is_reserved
from project_manager.domain.errors import Invalid, LockRequired, PauseNotFound, RoleRequired
from project_manager.domain.events.pauses import PauseEnded, PauseStarted
from project_manager.domain.limits import ID_DIGITS, ID_MAXIMUM
from project_manager.domain.pauses import FLAGS, PAUSED_FLAGS, PausedView, PauseScope, paused_error, stopped_error
from project_manager.schemas.pauses import EndPause, ListPauses, PauseView, StartPause
from project_manager.schemas.views import Page
from project_manager.services import lookup, offers, paging, readiness, serializers
from project_manager.store import claim_queue, claim_search, events, pauses, withheld
from project_manager.store import offers as store_offers
from project_manager.store.pauses import PauseRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def check_interface(command: StartPause, actor: Actor, interface: str) -> None:
    """Check that an agent over MCP pauses only itself. Raises RoleRequired.

    Other pauses over MCP need the token of an operator that is not bound to an agent.
    """
    own = actor.id if actor.bound else command.agent_id
    pauses_itself = command.scope is PauseScope.AGENT and command.id in (None, own)
    if interface == "mcp" and not has_unbound_token(actor) and not pauses_itself:
        raise RoleRequired(
            "over MCP this pause requires an operator token that is not bound to an agent",
            hint="Pause yourself with scope `agent`. A person can pause more on the dashboard or over REST.",
            required=Role.OPERATOR.name.lower(),
        )


def start(tx: Tx, command: StartPause) -> PauseView:
    """Pause claims: of one task, of a project, of all tasks, or by one agent. Present leases continue.

    Only operators pause, but an agent may pause itself. While the target is paused, another call returns the present
    pause unchanged.
    """
    subject = _subject(tx, command)
    if tx.actor.role < Role.OPERATOR and subject.get("agent_id") != tx.actor.id:
        raise RoleRequired(
            "a pause needs the role operator; an agent may only pause itself",
            role=tx.actor.role.name.lower(),
            required="operator",
        )
    target = pauses.target(command.scope, subject.get(f"{command.scope}_id"))
    present = pauses.of_target(tx, target)
    if present is not None:
        return _view(present)
    values: dict[str, Any] = {"project_id": None, "task_id": None, "agent_id": None, **subject}
    row = pauses.add(tx, target, {"scope": command.scope.value, "reason": command.reason or "", **values})
    _emit(tx, PauseStarted, row)
    if command.scope is PauseScope.AGENT:
        offers.end_all_of(tx, row.agent_id or "")
        _emit_for_waiters(tx, row.agent_id or "")
    else:
        _withhold(tx, row)
    return _view(row)


def end(tx: Tx, command: EndPause) -> PauseView:
    """End a pause. Operators end any pause, and an agent the one that it has started."""
    row = pauses.get(tx, command.pause_id)
    if row is None:
        raise PauseNotFound(f"pause {command.pause_id} not found", pause_id=command.pause_id)
    if tx.actor.role < Role.OPERATOR and (row.stopped or not row.agent_id == row.author == tx.actor.id):
        raise RoleRequired(
            f"only an operator may end pause {row.id}", role=tx.actor.role.name.lower(), required="operator"
        )
    pauses.remove(tx, row.id)
    _emit(tx, PauseEnded, row)
    if row.agent_id is not None:
        _emit_for_waiters(tx, row.agent_id)
    else:
        _stop_withholding(tx, row)
    return _view(row)


def stop(tx: Tx, agent_id: str) -> None:
    """Pause the agent and reject its writes until an operator ends the pause. The message has the reason."""
    name = pauses.target(PauseScope.AGENT, agent_id)
    present = pauses.of_target(tx, name)
    if present is not None:
        _emit(tx, PauseStarted, pauses.set_stopped(tx, present.id, ""))
        return
    ids = {"project_id": None, "task_id": None, "agent_id": agent_id}
    row = pauses.add(tx, name, {"scope": PauseScope.AGENT.value, "reason": "", "stopped": 1, **ids})
    _emit(tx, PauseStarted, row)
    offers.end_all_of(tx, agent_id)
    _emit_for_waiters(tx, agent_id)


def check_not_stopped(tx: Tx) -> None:
    """Check that the actor is not a stopped agent. Raises Stopped."""
    pause = of_agent(tx, tx.actor.id) if tx.actor.is_agent else None
    if pause is not None and pause.stopped:
        raise stopped_error(pause)


def list_pauses(tx: Tx, command: ListPauses) -> Page[PauseView]:
    """List the active pauses, oldest first, with reason and author."""
    filters: dict[str, object] = {"pauses": "active"}
    after = paging.start_id(command, filters)
    rows, has_more = pauses.page(tx, after=after, limit=command.limit)
    return paging.page(command, filters, rows, has_more, partial(pauses.count, tx), item=_view)


def flags_of_new_task(tx: Tx, project_id: int) -> int:
    """Return the flags of a new task of the project: those of the pauses of the project and of all work."""
    targets = {PauseScope.PROJECT: project_id, PauseScope.ALL: None}
    found = [scope for scope, subject in targets.items() if pauses.of_target(tx, pauses.target(scope, subject))]
    return sum(FLAGS[scope] for scope in found)


def of_agent(tx: Tx, agent_id: str) -> PausedView | None:
    """Return the pause of an agent, or None."""
    row = pauses.of_target(tx, pauses.target(PauseScope.AGENT, agent_id))
    return None if row is None else _brief(row)


def of_task(tx: Tx, row: TaskRow) -> PausedView | None:
    """Return the pause of a task, of its project or of all work, in this order, or None."""
    if not row.withheld & PAUSED_FLAGS:
        return None
    subjects = {PauseScope.TASK: row.id, PauseScope.PROJECT: row.project_id, PauseScope.ALL: None}
    for scope, subject in subjects.items():
        found = pauses.of_target(tx, pauses.target(scope, subject)) if row.withheld & FLAGS[scope] else None
        if found is not None:
            return _brief(found)
    return None


def of_claim(tx: Tx, search: dict[str, Any]) -> PausedView | None:
    """Return the pause for which the actor's claim finds no task: its own, or one of tasks that the filters accept."""
    own = of_agent(tx, tx.actor.id)
    if own is not None:
        return own
    row = pauses.withholding(tx, search)
    return None if row is None else _brief(row)


def check_claim(tx: Tx, row: TaskRow) -> None:
    """Check that no pause prevents a claim of the task by the actor. Raises Paused."""
    pause = of_task(tx, row) or of_agent(tx, tx.actor.id)
    if pause is not None:
        raise paused_error(pause, row.id)


def check_status_without_lease(tx: Tx, row: TaskRow) -> None:
    """Check that an agent may set the status of the task without a lease. Raises Paused and LockRequired."""
    own = of_agent(tx, tx.actor.id)
    if own is not None:
        raise paused_error(own, row.id)
    if of_task(tx, row) is not None:
        message = f"task {row.id} is paused: an agent needs a lease to change its status"
        hint = "Claim it with acquire_task_lock after the pause ends; GET /api/pauses lists the pauses."
        raise LockRequired(message, hint=hint, task_id=row.id, fence=row.fence)


def end_of_tasks(tx: Tx, rows: Collection[TaskRow]) -> None:
    """Emit `pause.ended` for the pauses of tasks that are deleted with them."""
    for row in pauses.of_tasks(tx, [row.id for row in rows]):
        _emit(tx, PauseEnded, row)


def end_of_project(tx: Tx, project_id: int) -> None:
    """Emit `pause.ended` for the pause of a project that is deleted with it."""
    row = pauses.of_target(tx, pauses.target(PauseScope.PROJECT, project_id))
    if row is not None:
        _emit(tx, PauseEnded, row)


def _subject(tx: Tx, command: StartPause) -> dict[str, int | str]:
    """Return the ids of the target, by column. Raises Invalid, ProjectNotFound, TaskNotFound."""
    if command.scope is PauseScope.ALL:
        if command.id is not None:
            raise Invalid.of("id", "the scope `all` has no id", "Omit `id`, or send another scope.")
        return {}
    if command.scope is PauseScope.AGENT:
        agent_id = command.id or (tx.actor.id if tx.actor.is_agent else None)
        if agent_id is None:
            raise Invalid.of("id", "`id` is missing", "Send the id of the agent.")
        if is_reserved(agent_id):
            raise Invalid.of("id", f"`id` {agent_id!r} is reserved, so no agent has it", "Send the id of the agent.")
        return {"agent_id": agent_id}
    number = _number(command.id)
    if number is None:
        raise Invalid.of("id", f"`id` is not the id of a {command.scope}", "Send its number.")
    if command.scope is PauseScope.PROJECT:
        return {"project_id": lookup.project(tx, number).id}
    row = lookup.task(tx, number)
    return {"project_id": row.project_id, "task_id": row.id}


def _number(text: str | None) -> int | None:
    """Return the id in the text, or None."""
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS):
        return None
    return int(text) if 1 <= int(text) <= ID_MAXIMUM else None


def _withhold(tx: Tx, row: PauseRow) -> None:
    """Set the flag of the tasks of a pause, and emit `task.not_ready` for each task that was ready."""
    flag = FLAGS[PauseScope(row.scope)]
    if row.task_id is not None:
        ready = readiness.ready_among(tx, [row.task_id])
        withheld.withhold(tx, [row.task_id], flag)
    elif row.project_id is not None:
        ready = claim_search.ids(tx, {"project_id": row.project_id})
        withheld.withhold_project(tx, row.project_id, flag)
    else:
        ready = claim_search.ids(tx, {})
        withheld.withhold_all(tx, flag)
    readiness.emit_not_ready(tx, ready)


def _stop_withholding(tx: Tx, row: PauseRow) -> None:
    """Clear the flag of the tasks of a pause, and emit `task.ready` for each task that is ready now.

    A task of a paused scope was not ready, so each ready one has just become so.
    """
    flag = FLAGS[PauseScope(row.scope)]
    if row.task_id is not None:
        withheld.stop_withholding(tx, [row.task_id], flag)
        readiness.emit_ready(tx, [row.task_id])
    elif row.project_id is not None:
        withheld.stop_withholding_project(tx, row.project_id, flag)
        found = claim_search.ids(tx, {"project_id": row.project_id})
        readiness.emit_ready(tx, [*found, *store_offers.in_scope(tx, row.project_id)])
    else:
        withheld.stop_withholding_all(tx, flag)
        readiness.emit_ready(tx, [*claim_search.ids(tx, {}), *store_offers.in_scope(tx, None)])


def _emit_for_waiters(tx: Tx, agent_id: str) -> None:
    """Emit `task.ready` for tasks that the waiters of the agent accept, as many as waiters of the same filters.

    When its pause starts, later waiters may get these tasks. When it ends, its own waiters may.
    """
    by_filter: dict[Any, list[claim_queue.Waiter]] = {}
    for waiter in claim_queue.of_agent(tx, agent_id):
        by_filter.setdefault(waiter.filter_key, []).append(waiter)
    for waiters in by_filter.values():
        readiness.emit_ready(tx, claim_search.part(tx, waiters[0].search(), len(waiters))[0])


def _emit(tx: Tx, kind: type[PauseStarted], row: PauseRow) -> None:
    event = kind(
        pause_id=row.id,
        scope=row.scope,
        agent_id=row.agent_id,
        reason=row.reason,
        author=row.author,
        stopped=bool(row.stopped),
    )
    events.add(tx, event, project_id=row.project_id, task_id=row.task_id)


def _view(row: PauseRow) -> PauseView:
    return serializers.view_of(PauseView, row, stopped=bool(row.stopped))


def _brief(row: PauseRow) -> PausedView:
    return PausedView(row.scope, row.reason, row.author, rfc3339(row.created_at), bool(row.stopped))
