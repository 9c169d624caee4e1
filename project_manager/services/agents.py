"""Use cases of agents: list agents, read an agent, and read the context that an agent needs to resume work."""

from collections.abc import Collection
from functools import partial

from project_manager.clock import rfc3339
from project_manager.domain.errors import AgentNotFound
from project_manager.domain.limits import ID_MAXIMUM, READY_TASKS_MAXIMUM, WAIT_SECONDS_RECOMMENDED
from project_manager.domain.pauses import PausedView, describe
from project_manager.schemas.agents import AgentView, ContextView, GetAgent, GetContext, LeasedTaskView, ListAgents
from project_manager.schemas.knowledge import KnowledgeExcerptView
from project_manager.schemas.views import Page
from project_manager.services import budget, handover, knowledge, lookup, paging, pauses, resolve, serializers
from project_manager.services.serializers import lease_of, live_lease_of
from project_manager.store import agents, claim_queue, lease_history, links, listing, logs, offers, task_filters, tasks
from project_manager.store.agents import AgentRow
from project_manager.store.pages import Total
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

LOST_LEASE_WINDOW_MS = 24 * 3600 * 1000


def list_agents(tx: Tx, command: ListAgents) -> Page[AgentView]:
    """List all known agents, last seen first, with their live leases."""
    filters = {"active": command.active, "seen_since": command.seen_since}
    offset = paging.start_id(command, filters)
    rows, has_more = agents.page(tx, command.active, command.seen_since, offset=offset, limit=command.limit)
    holders, waiting = agents.holders(tx), claim_queue.waiting_agents(tx)
    # Agents are listed by the time of their last write, which changes, so the position is a number of rows.
    return paging.page(
        command,
        filters,
        rows,
        has_more,
        partial(agents.count, tx, command.active, command.seen_since),
        item=lambda row: _view(tx, row, holders, waiting),
        position=lambda row: (offset + len(rows),),
    )


def get(tx: Tx, command: GetAgent) -> AgentView:
    """Read one agent with its live leases."""
    row = agents.get(tx, command.agent_id)
    if row is None:
        raise AgentNotFound(f"unknown agent {command.agent_id!r}", agent_id=command.agent_id)
    return _view(tx, row, {row.id}, claim_queue.waiting_agents(tx))


def get_context(tx: Tx, command: GetContext) -> ContextView:
    """Resume work after a restart or a lost context: your leases, their expiry, past work, and the next step.

    The tasks come in full with their logs, shortened to budget_tokens. Logs include handoff notes and failed attempts
    of others. `lost` lists up to 20 tasks, not DONE, on which your lease expired or was forced in the last 24 hours.
    """
    about = resolve.scope(tx, command)
    held = agents.leased_by(tx, tx.actor.id, **about)
    room = budget.characters(command.budget_tokens) // max(1, len(held))
    holding = [_held_task(tx, row, room=room) for row in held]
    query = task_filters.resolve(tx, {"ready": True, **about})
    ready = listing.count(tx, query, exact=False, maximum=READY_TASKS_MAXIMUM)
    lost = lease_history.lost_by(tx, tx.actor.id, **about, since=tx.now - LOST_LEASE_WINDOW_MS)
    offered = tasks.named(tx, [task.id for task in offers.ready_of(tx, tx.actor.id)])
    paused = pauses.of_agent(tx, tx.actor.id) if ready.number else pauses.of_claim(tx, {**about})
    characters = budget.characters(command.budget_tokens) // 4
    return ContextView(
        agent_id=tx.actor.id,
        server_time=rfc3339(tx.now),
        holding=holding,
        knowledge=_knowledge(tx, about, held, characters),
        lost=serializers.links(lost),
        offered=serializers.links(offered),
        ready_tasks=ready.number,
        ready_tasks_is_minimum=ready.is_minimum,
        next_step=_next_step(holding, ready, paused) + _offers_sentence(offered) + _lost_leases_sentence(lost),
        paused=paused,
    )


def _knowledge(tx: Tx, about: dict[str, int], held: list[TaskRow], room: int) -> list[KnowledgeExcerptView]:
    """Return the most important knowledge of the project of the query, or of the first leased task."""
    project_id = about.get("project_id")
    if project_id is None and "epic_id" in about:
        project_id = lookup.epic(tx, about["epic_id"]).project_id
    if project_id is None and held:
        project_id = held[0].project_id
    return [] if project_id is None else knowledge.most_important(tx, project_id, room)


def _held_task(tx: Tx, held: TaskRow, *, room: int) -> LeasedTaskView:
    row = lookup.task(tx, held.id)
    lease = live_lease_of(row, tx.now)
    newest, _ = logs.newest(tx, row.id, 50, before=ID_MAXIMUM)
    entries = budget.within(newest, room - len(row.description) - 400, budget.size_of_log)
    return LeasedTaskView(
        task=serializers.task(tx, row),
        lock=serializers.lock(lease),
        seconds_left=(lease.expires_at - tx.now) // 1000,
        logs=[serializers.log(entry) for entry in entries],
        waiting_for_it=serializers.links(links.dependents_of(tx, row.id)),
        review=handover.requested_changes(tx, row),
        answer=handover.answer(tx, row),
    )


def _next_step(holding: list[LeasedTaskView], ready: Total, paused: PausedView | None) -> str:
    if not holding:
        if paused is not None and paused.stopped:
            return f"No active lease; {describe(paused)}. Stop working, and acknowledge the message of the stop."
        if paused is not None:
            wait = f"wait_seconds={WAIT_SECONDS_RECOMMENDED}"
            return f"No active lease; {describe(paused)}. Call claim_next_task with {wait} to wait for a task."
        if ready.number:
            number = f"{ready.number:,}{'+' if ready.is_minimum else ''}"
            return f"No active lease; {number} tasks are ready: call claim_next_task."
        wait = f"wait_seconds={WAIT_SECONDS_RECOMMENDED}"
        return f"No active lease and no ready task: call claim_next_task with {wait}."
    first = min(holding, key=lambda view: view.seconds_left)
    return (
        f"Continue task {first.task['id']} with fence {first.lock.fence}: renew_task_lock within "
        f"{first.seconds_left} s, report with add_task_log, finish with update_task_status(DONE) or "
        "release_task_lock with a handoff note."
    )


def _offers_sentence(offered: list[tuple[int, str, str]]) -> str:
    if not offered:
        return ""
    named = ", ".join(f"#{task_id}" for task_id, _, _ in offered[:5]) + (", .." if len(offered) > 5 else "")
    return f" Offered to you: {named}; claim_next_task takes them first."


def _lost_leases_sentence(lost: list[tuple[int, str, str]]) -> str:
    if not lost:
        return ""
    named = ", ".join(f"#{task_id}" for task_id, _, _ in lost[:5]) + (", .." if len(lost) > 5 else "")
    return f" Your lease ended on {named}: stop that work unless acquire_task_lock returns a new lease."


def _view(tx: Tx, row: AgentRow, holders: Collection[str], waiting: Collection[str]) -> AgentView:
    held = agents.leased_by(tx, row.id) if row.id in holders else []
    leases = [lease_of(task, tx.now) for task in held]
    return AgentView(
        id=row.id,
        kind=row.kind,
        first_seen=rfc3339(row.first_seen_at),
        last_seen=rfc3339(row.last_seen_at),
        locks=[serializers.lock(lease) for lease in leases if lease is not None],
        waiting=row.id in waiting,
    )
