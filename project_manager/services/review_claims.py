"""Claims of submitted work for review."""

from project_manager.domain.policies import Reviewer, parse_policy
from project_manager.schemas.leases import ClaimedView, ClaimNextTask
from project_manager.services import leases, lookup, reviews, transitions
from project_manager.store import review_search
from project_manager.store.claim_search import Search
from project_manager.store.review_search import Reviewable
from project_manager.store.transaction import Tx


def claim(tx: Tx, command: ClaimNextTask, search: Search) -> ClaimedView | None:
    """Claim the best task with submitted work that the actor may review, or return None.

    The task stays in REVIEW under an ordinary lease. Raises BoundTokenRequired.
    """
    reviews.check_token(tx)
    task_id = find(tx, search)
    if task_id is None:
        return None
    leased = transitions.claim_for_review(tx, lookup.task(tx, task_id), ttl=command.ttl_seconds * 1000)
    return leases.claimed_view(tx, leased)


def find(tx: Tx, search: Search) -> int | None:
    """Return the id of the best task that the actor may review, or None."""
    found = (each.task_id for each in review_search.find(tx, search) if _may_review(tx, each))
    return next(found, None)


def _may_review(tx: Tx, found: Reviewable) -> bool:
    """Return whether the actor did not submit the work, and the policy accepts the verdict of an agent."""
    if reviews.is_author(tx, found):
        return False
    return not tx.actor.is_agent or parse_policy(found.policy).reviewer is not Reviewer.PERSON
