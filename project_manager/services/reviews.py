"""Use cases of reviews: submit work, give a verdict, list the submissions of a task."""

from functools import partial
from typing import Any

import orjson

from project_manager.clock import rfc3339
from project_manager.domain.actors import is_person
from project_manager.domain.errors import (
    AlreadyReviewed,
    BoundTokenRequired,
    Invalid,
    NotInReview,
    OwnReview,
    PersonRequired,
    StaleSubmission,
)
from project_manager.domain.events.reviews import TaskReviewed, TaskSubmitted
from project_manager.domain.leases import UnlockReason
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.domain.names import name_key
from project_manager.domain.offers import OfferReason
from project_manager.domain.policies import Reviewer, Work, parse_policy
from project_manager.domain.reviews import ReviewVerdict, Submitted, digest_of
from project_manager.domain.statuses import BlockedBy, Status
from project_manager.schemas import reviews as schemas
from project_manager.schemas.views import Page
from project_manager.services import lookup, offers, paging, policies, transitions
from project_manager.services.lease_errors import check_lease
from project_manager.services.serializers import lease_of
from project_manager.store import evidence, reviews, seals
from project_manager.store.leases import Reasons
from project_manager.store.review_search import Reviewable
from project_manager.store.reviews import SubmissionRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def submit(
    tx: Tx, row: TaskRow, summary: str, *, branch: str | None, commit: str | None, work: Work
) -> tuple[TaskRow, SubmissionRow]:
    """Record the work of the actor on a task that is in REVIEW now. Return the task and the submission."""
    entries = [entry for entry in evidence.of_task(tx, row.id) if work._replace(commit=commit).has(entry)]
    submitted = Submitted(
        task=row.id,
        round=reviews.next_round(tx, row.id),
        fence=row.fence,
        name=row.name,
        description=row.description,
        acceptance=orjson.loads(row.acceptance),
        summary=summary,
        branch=branch,
        commit=commit,
        evidence=[list(entry) for entry in entries],
    )
    values: dict[str, Any] = {
        "task_id": row.id,
        "round": submitted.round,
        "author": tx.actor.id,
        "token_id": tx.actor.token_id,
        "fence": row.fence,
        "summary": summary,
        "branch": branch,
        "commit_id": commit,
        "pull_request": None,
        "evidence": reviews.ids_of(entries),
        "digest": digest_of(submitted),
    }
    submission = reviews.add(tx, values)
    changes: dict[str, Any] = {"submission_id": submission.id}
    updated = row._replace(**changes)
    event = TaskSubmitted(
        submission_id=submission.id,
        round=submission.round,
        author=submission.author,
        fence=submission.fence,
        digest=submission.digest,
        version=row.version,
    )
    transitions.emit(tx, event, updated, sealed=seals.digests_of("submissions", submission))
    return updated, submission


def restore(tx: Tx, row: TaskRow, submission_id: int) -> tuple[TaskRow, SubmissionRow] | None:
    """Let the newest submission wait for a verdict again, on a task that is in REVIEW now. Return both.

    Return None if it has a verdict, if the task has a newer one, or if its digest is not that of the present task.
    """
    submission = reviews.get(tx, submission_id)
    if submission is None or submission.task_id != row.id or submission.verdict is not None:
        return None
    ids = {*orjson.loads(submission.evidence)}
    present = Submitted(
        task=row.id,
        round=reviews.next_round(tx, row.id) - 1,
        fence=submission.fence,
        name=row.name,
        description=row.description,
        acceptance=orjson.loads(row.acceptance),
        summary=submission.summary,
        branch=submission.branch,
        commit=submission.commit_id,
        evidence=[list(entry) for entry in evidence.of_task(tx, row.id) if entry.log_id in ids],
    )
    if digest_of(present) != submission.digest:
        return None
    reviews.set_current(tx, submission)
    changes: dict[str, Any] = {"submission_id": submission.id}
    return row._replace(**changes), submission


def review(tx: Tx, command: schemas.ReviewTask) -> schemas.ReviewedView:
    """Give the verdict on submitted work: approved, or changes_requested with the reasons.

    Refused for its author. The first verdict on a digest counts. `approved` makes the task DONE when the policy of the
    project is met. `changes_requested` returns it to TODO and offers it to its author, with your text. After too many
    rounds it becomes BLOCKED for a person.
    """
    if command.verdict is ReviewVerdict.CHANGES_REQUESTED and not command.body.strip():
        raise Invalid.of("body", "`body` is required for changes_requested", "Say what to change.")
    row = lookup.task(tx, command.task_id)
    submission = policies.current_submission(tx, row)
    check_reviewer(tx, row, submission)
    _check_person(tx, row, command.verdict)
    submission = _check_submission(tx, row, submission, command.digest)
    if tx.actor.is_agent or command.fence is not None:
        check_lease(tx, row, command.fence)
    kind = "person" if is_person(tx.actor) else "agent" if tx.actor.is_agent else "unknown"
    written = reviews.set_review(tx, submission, command.verdict, tx.actor.id, kind, command.body)
    if written is None:
        raise _already_reviewed_error(submission)
    updated, missing = _apply(tx, row, written)
    event = TaskReviewed(
        submission_id=written.id,
        round=written.round,
        author=written.author,
        reviewer=tx.actor.id,
        verdict=command.verdict.value,
        missing=missing,
        version=updated.version,
    )
    transitions.emit(tx, event, updated, sealed=seals.digests_of("submissions", written))
    return schemas.ReviewedView(
        success=True,
        message=f"task {row.id} is {updated.status}" + (f"; missing: {'; '.join(missing)}" if missing else ""),
        task_id=row.id,
        status=updated.status,
        missing=missing,
        submission=view(updated, written),
    )


def complete_if_approved(tx: Tx, row: TaskRow) -> TaskRow:
    """Set DONE if the submitted work is approved and new evidence has met the policy. Return the task."""
    submission = policies.current_submission(tx, row)
    if submission is None or submission.verdict != ReviewVerdict.APPROVED:
        return row
    return _complete(tx, row, submission)[0]


def list_submissions(tx: Tx, command: schemas.ListSubmissions) -> Page[schemas.SubmissionView]:
    """List the submissions of a task with their reviews, newest first."""
    filters = {"task_id": command.task_id}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    row = lookup.task(tx, command.task_id)
    rows, has_more = reviews.newest(tx, row.id, command.limit, before=before)
    count = partial(reviews.count, tx, row.id)
    return paging.page(command, filters, rows, has_more, count, item=partial(view, row))


def view(row: TaskRow, submission: SubmissionRow) -> schemas.SubmissionView:
    """Return the view of a submission of the task."""
    review_view = None
    if submission.verdict is not None:
        review_view = schemas.ReviewView(
            verdict=submission.verdict,
            reviewer=submission.reviewer or "",
            reviewer_kind=submission.reviewer_kind or "",
            body=submission.body or "",
            created_at=rfc3339(submission.reviewed_at or 0),
        )
    return schemas.SubmissionView(
        id=submission.id,
        task_id=submission.task_id,
        round=submission.round,
        author=submission.author,
        fence=submission.fence,
        summary=submission.summary,
        branch=submission.branch,
        commit=submission.commit_id,
        pull_request=submission.pull_request,
        evidence=orjson.loads(submission.evidence),
        digest=submission.digest,
        created_at=rfc3339(submission.created_at),
        is_current=row.status == Status.REVIEW and row.submission_id == submission.id,
        review=review_view,
    )


def check_token(tx: Tx) -> None:
    """Check that an agent with a token has one that is bound to its agent id. Raises BoundTokenRequired."""
    if tx.actor.is_agent and tx.actor.token_id is not None and not tx.actor.bound:
        raise BoundTokenRequired("an agent reviews only with a token that is bound to its agent id")


def is_author(tx: Tx, submission: SubmissionRow | Reviewable) -> bool:
    """Return whether the actor submitted the work: by its agent id, or by its token."""
    same_token = submission.token_id is not None and submission.token_id == tx.actor.token_id
    return same_token or name_key(submission.author) == name_key(tx.actor.id)


def check_reviewer(tx: Tx, row: TaskRow, submission: SubmissionRow | None, *, hint: str = "") -> None:
    """Check that the actor may review. `hint` is for the author. Raises OwnReview, BoundTokenRequired."""
    if submission is not None and is_author(tx, submission):
        by = "you" if name_key(submission.author) == name_key(tx.actor.id) else f"{submission.author}, with your token,"
        message = f"{by} submitted this work of task {row.id} and cannot review it"
        raise OwnReview(message, hint=hint, task_id=row.id)
    check_token(tx)


def _check_person(tx: Tx, row: TaskRow, verdict: ReviewVerdict) -> None:
    """Check that only a person approves where the policy demands it. Raises PersonRequired."""
    demands_person = parse_policy(row.policy).reviewer is Reviewer.PERSON
    if demands_person and verdict is ReviewVerdict.APPROVED and not is_person(tx.actor):
        raise PersonRequired(f"the policy of task {row.id} demands the approval of a person", task_id=row.id)


def _check_submission(tx: Tx, row: TaskRow, submission: SubmissionRow | None, digest: str) -> SubmissionRow:
    """Return the submission with this digest. Raises NotInReview, StaleSubmission, AlreadyReviewed."""
    if submission is None or submission.digest != digest:
        known = reviews.with_digest(tx, row.id, digest)
        if known is not None and known.verdict is not None:
            raise _already_reviewed_error(known)
        if row.status != Status.REVIEW:
            raise NotInReview(f"task {row.id} is {row.status}, not REVIEW", task_id=row.id, status=row.status)
        present = None if submission is None else submission.digest
        message = f"task {row.id} has no submission with this digest"
        if known is not None:
            message = f"task {row.id} has changed since this submission"
        raise StaleSubmission(message, task_id=row.id, digest=present)
    if submission.verdict is not None and not _may_be_replaced(tx, row, submission):
        raise _already_reviewed_error(submission)
    return submission


def _may_be_replaced(tx: Tx, row: TaskRow, submission: SubmissionRow) -> bool:
    """Return whether the verdict of a person replaces an approval that does not count under the present policy."""
    demands_person = parse_policy(row.policy).reviewer is Reviewer.PERSON
    return demands_person and submission.reviewer_kind != "person" and is_person(tx.actor)


def _already_reviewed_error(submission: SubmissionRow) -> AlreadyReviewed:
    return AlreadyReviewed(
        f"submission {submission.id} of task {submission.task_id} was reviewed by {submission.reviewer}: "
        f"{submission.verdict}",
        task_id=submission.task_id,
        verdict=submission.verdict,
        reviewer=submission.reviewer,
    )


def _apply(tx: Tx, row: TaskRow, submission: SubmissionRow) -> tuple[TaskRow, list[str]]:
    """Apply the verdict to the task. Return the task, and the parts that an approved task still lacks for DONE."""
    if submission.verdict == ReviewVerdict.APPROVED:
        return _complete(tx, row, submission)
    limit = parse_policy(row.policy).max_review_rounds
    reasons = Reasons(rework_id=submission.id)
    if reviews.reworks(tx, row.id) >= limit:
        updated = _leave_review(tx, row, Status.BLOCKED, reasons._replace(blocked_by=BlockedBy.REVIEW_ROUNDS.value))
        transitions.note_by_system(tx, row, f"changes requested {limit} times: BLOCKED until a person decides")
        return updated, []
    updated = _leave_review(tx, row, Status.TODO, reasons)
    return offers.offer(tx, updated, submission.author, OfferReason.REWORK), []


def _complete(tx: Tx, row: TaskRow, submission: SubmissionRow) -> tuple[TaskRow, list[str]]:
    """Set DONE if the policy is met. Return the task, and the missing parts."""
    policy = parse_policy(row.policy)
    work = policies.work_of(submission)
    missing = policies.missing_of(tx, row, policy, work)
    if missing:
        return _end_review_lease(tx, row), missing
    by = policies.check_done(tx, row, work)
    return _leave_review(tx, row, Status.DONE, Reasons(completed_by=by)), []


def _leave_review(tx: Tx, row: TaskRow, target: Status, reasons: Reasons) -> TaskRow:
    """Set the status, and end the lease of the reviewer, if there is one."""
    attempts = 0 if target is Status.DONE else row.attempts
    if lease_of(row, tx.now) is not None:
        return transitions.end(tx, row, target, UnlockReason.AUTO_RELEASE, attempts=attempts, reasons=reasons)
    return transitions.set_status(tx, row, target, attempts=attempts, reasons=reasons)


def _end_review_lease(tx: Tx, row: TaskRow) -> TaskRow:
    if lease_of(row, tx.now) is None:
        return row
    return transitions.end(tx, row, Status.REVIEW, UnlockReason.AUTO_RELEASE, attempts=row.attempts)
