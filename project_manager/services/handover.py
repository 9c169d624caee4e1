"""The facts for a new holder of a task: the last review, the answer, the handoff note, knowledge, and other leases."""

from collections.abc import Iterable
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.limits import HANDOFF_CHARACTERS, OTHER_LEASES_WITH_CLAIM
from project_manager.domain.policies import parse_policy
from project_manager.schemas import leases as schemas
from project_manager.schemas.reviews import SubmissionView
from project_manager.services import knowledge, reviews
from project_manager.store import agents, logs, questions
from project_manager.store import reviews as store_reviews
from project_manager.store.agents import HeldLease
from project_manager.store.logs import LogRow
from project_manager.store.ready_tasks import ClaimContext
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_SHORTENED = " [truncated; see the log]"


def fields(tx: Tx, row: TaskRow, context: ClaimContext) -> dict[str, Any]:
    """Return the fields of `NewLeaseView` and `ClaimedView` for a new holder."""
    note = None if context.handoff_id is None else logs.get(tx, context.handoff_id)
    others = lease_views(lease for lease in context.held_leases() if lease.task_id != row.id)
    return {
        "review": requested_changes(tx, row),
        "answer": answer(tx, row),
        "submission": _submission_to_review(tx, row),
        "policy": parse_policy(context.policy).changes() or None,
        "notice": _notice(row, others),
        "handoff": None if note is None else _handoff(note),
        "knowledge": knowledge.excerpts(context.knowledge),
        "log_entries": context.entries,
        "also_holding": others[:OTHER_LEASES_WITH_CLAIM],
    }


def requested_changes(tx: Tx, row: TaskRow) -> schemas.RequestedChangesView | None:
    """Return the review with the requested changes, for the next work on the task."""
    if row.rework_id is None:
        return None
    found = store_reviews.get(tx, row.rework_id)
    if found is None:
        return None
    body = shortened(found.body or "", HANDOFF_CHARACTERS)
    return schemas.RequestedChangesView(found.reviewer or "", body, found.round)


def answer(tx: Tx, row: TaskRow) -> schemas.AnsweredView | None:
    """Return the answer to the newest question about the task, until its work is submitted or done."""
    found = None if row.answer_id is None else questions.get(tx, row.answer_id)
    if found is None:
        return None
    return schemas.AnsweredView(
        question=shortened(found.text, HANDOFF_CHARACTERS),
        answer=shortened(found.answer or "", HANDOFF_CHARACTERS),
        answered_by=found.answered_by or "",
        via=found.via or "",
    )


def _submission_to_review(tx: Tx, row: TaskRow) -> SubmissionView | None:
    """Return the submitted work if the lease is for its review."""
    if row.lock_kind is None or row.submission_id is None:
        return None
    found = store_reviews.get(tx, row.submission_id)
    return None if found is None else reviews.view(row, found)


def _notice(row: TaskRow, others: list[schemas.OtherLeaseView]) -> str | None:
    """Return a notice for a new holder with an unconfirmed lease or with other leases, or None."""
    notices = []
    if row.unconfirmed_fence == row.fence:
        notices.append(f"unconfirmed lease: a call before it expires extends it to {(row.lock_ttl or 0) // 1000} s")
    if others:
        named = ", ".join(f"#{held.task_id}" for held in others[:OTHER_LEASES_WITH_CLAIM])
        named += ", .." if len(others) > OTHER_LEASES_WITH_CLAIM else ""
        notices.append(f"your agent id also has leases on {named}; another session may use this id")
    return "; ".join(notices) or None


def _handoff(note: LogRow) -> schemas.HandoffView:
    return schemas.HandoffView(note.author, shortened(note.body, HANDOFF_CHARACTERS), rfc3339(note.created_at))


def held_leases(tx: Tx, *, limit: int) -> list[schemas.OtherLeaseView]:
    """Return up to `limit` leases of the actor, the earliest expiry first."""
    return lease_views(agents.held_leases(tx, limit))


def lease_views(held: Iterable[HeldLease]) -> list[schemas.OtherLeaseView]:
    """Return the views of leases of the actor."""
    return [schemas.OtherLeaseView(lease.task_id, lease.fence, rfc3339(lease.expires_at)) for lease in held]


def shortened(text: str, limit: int) -> str:
    """Return the text with at most `limit` characters. A notice replaces the end of a longer one."""
    return text if len(text) <= limit else text[: limit - len(_SHORTENED)] + _SHORTENED
