"""Offers of tasks to one agent: begin, end, and expire."""

from project_manager.domain.events.offers import TaskOfferEnded
from project_manager.domain.offers import OFFER_MS, OfferReason, ends_at
from project_manager.domain.pauses import PauseScope
from project_manager.services import readiness, transitions
from project_manager.store import agents, offers, pauses, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def offer(tx: Tx, row: TaskRow, agent_id: str, reason: OfferReason) -> TaskRow:
    """Offer a task in TODO to an agent and return the task. An agent that is away or paused gets no offer."""
    if not is_available(tx, agent_id):
        readiness.emit_ready(tx, [row.id])
        return row
    until = tx.now + OFFER_MS
    offered = offers.begin(tx, row, agent_id, until, reason)
    readiness.emit_offered(tx, offered)
    return offered


def is_available(tx: Tx, agent_id: str) -> bool:
    """Return whether an offer to the agent has a meaning: it has made a call lately, and is not paused."""
    agent = agents.get(tx, agent_id)
    is_away = agent is None or agent.kind != "agent" or ends_at(tx.now + OFFER_MS, agent.last_seen_at) <= tx.now
    return not is_away and pauses.of_target(tx, pauses.target(PauseScope.AGENT, agent_id)) is None


def end(tx: Tx, row: TaskRow) -> TaskRow:
    """End the offer of a task, so that any agent can claim it, and return the task."""
    updated = offers.end(tx, row)
    event = TaskOfferEnded(agent_id=row.offered_to or "", status=row.status, version=row.version)
    transitions.emit(tx, event, updated)
    readiness.emit_ready(tx, [row.id])
    return updated


def end_due(tx: Tx) -> None:
    """End the offers that have lasted too long, or with an agent that makes no calls."""
    for row in tasks.get_all(tx, offers.ended(tx)):
        end(tx, row)


def end_all_of(tx: Tx, agent_id: str) -> None:
    """End the offers to an agent that takes no tasks now."""
    for row in tasks.get_all(tx, offers.of_agent(tx, agent_id)):
        end(tx, row)
