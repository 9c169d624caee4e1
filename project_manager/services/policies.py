"""Policies of projects: the text to store, the check of a task that becomes DONE, and the parts that it lacks."""

import json
from collections.abc import Collection, Sequence

import orjson

from project_manager.domain.errors import PolicyUnmet
from project_manager.domain.evidence import Evidence
from project_manager.domain.policies import (
    CompletedBy,
    EvidenceRule,
    Policy,
    Reviewer,
    ReviewRule,
    Work,
    missing,
    parse_policy,
)
from project_manager.domain.reviews import ReviewVerdict
from project_manager.domain.statuses import Status
from project_manager.schemas.policies import PolicyFields
from project_manager.services import transitions
from project_manager.store import evidence, reviews
from project_manager.store.reviews import SubmissionRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_SUBMIT = "Submit it: update_task_status with status REVIEW, summary and evidence."
_SEND_EVIDENCE = "Send evidence with update_task_status: for each criterion {criterion, command, exit_code}."
_APPROVE = "A person has to approve it on the dashboard or over REST."
_LATER_EVIDENCE = (
    "Record it as evidence with the commit of the submission. Only a person, or a token made with --attest, can."
)
_OBSERVED_EVIDENCE = "Only a person, or a token made with --attest, records observed evidence. Leave the task to one."


def stored(given: PolicyFields | None) -> str:
    """Return the JSON text that a project stores for these rules. It leaves out the defaults."""
    if given is None:
        return "{}"
    rules = {name: getattr(given, name) for name in PolicyFields.model_fields}
    return json.dumps(Policy(**{**rules, "checks": tuple(given.checks)}).changes(), ensure_ascii=False)


def check_done(tx: Tx, row: TaskRow, work: Work, *, forced: bool = False) -> str | None:
    """Check the policy for a task that becomes DONE, and return the value of `completed_by`.

    It is `review` or `evidence`, or None without a policy. With `forced`, an operator overrides an unmet policy: the
    value is `force`, and the log has an entry about it. Raises PolicyUnmet.
    """
    policy = parse_policy(row.policy)
    if policy.is_empty or row.status == Status.DONE:
        return None
    lacking = missing_of(tx, row, policy, work)
    if not lacking:
        return CompletedBy.EVIDENCE.value if policy.review is ReviewRule.NONE else CompletedBy.REVIEW.value
    if not forced:
        raise _unmet_error(row, policy, lacking, work)
    transitions.note_by_system(tx, row, f"{tx.actor.id} sets DONE by force; missing: {'; '.join(lacking)}")
    return CompletedBy.FORCE.value


def check_new(policy_text: str, name: str, criteria: Sequence[str]) -> None:
    """Check that a policy allows a new task that is DONE. Without a task there is no work. Raises PolicyUnmet."""
    policy = parse_policy(policy_text)
    if policy.is_empty:
        return
    lacking = missing(policy, criteria, (), Work())
    raise PolicyUnmet(
        f"new task {name!r} cannot be DONE under the policy of its project; missing: {'; '.join(lacking)}",
        hint="Create it as TODO or BACKLOG, then claim and finish it.",
        name=name,
        missing=lacking,
    )


def missing_of(tx: Tx, row: TaskRow, policy: Policy, work: Work) -> list[str]:
    """Return the parts that the work lacks for DONE under the policy, in words."""
    entries: Collection[Evidence] = ()
    if policy.evidence is not EvidenceRule.NONE:
        entries = evidence.of_task(tx, row.id)
    return missing(policy, orjson.loads(row.acceptance), entries, work)


def _unmet_error(row: TaskRow, policy: Policy, lacking: list[str], work: Work) -> PolicyUnmet:
    """Return the error for a task that the policy keeps from DONE."""
    return PolicyUnmet(
        f"task {row.id} cannot be DONE under the policy of its project; missing: {'; '.join(lacking)}",
        hint=_hint(policy, work),
        task_id=row.id,
        missing=lacking,
    )


def _hint(policy: Policy, work: Work) -> str:
    """Return the next step for work that the policy keeps from DONE."""
    if policy.review is ReviewRule.NONE:
        return _OBSERVED_EVIDENCE if policy.evidence is EvidenceRule.OBSERVED_EACH_CRITERION else _SEND_EVIDENCE
    if not work.is_approved:
        return _SUBMIT
    needs_person = policy.reviewer is Reviewer.PERSON and not work.is_approved_by_person
    return _APPROVE if needs_person else _LATER_EVIDENCE


def work_of(submission: SubmissionRow) -> Work:
    """Return the submitted work with its approval, if any."""
    is_approved = submission.verdict == ReviewVerdict.APPROVED
    return Work(
        evidence_ids=frozenset(orjson.loads(submission.evidence)),
        commit=submission.commit_id,
        is_approved=is_approved,
        is_approved_by_person=is_approved and submission.reviewer_kind == "person",
    )


def current_submission(tx: Tx, row: TaskRow) -> SubmissionRow | None:
    """Return the submission that waits for a verdict or is approved, or None.

    A task that was claimed from REVIEW for work has none, until the lease ends without a change of the status.
    """
    if row.status != Status.REVIEW or row.submission_id is None:
        return None
    return reviews.get(tx, row.submission_id)


def current_work(tx: Tx, row: TaskRow, *, fence: int = 0, recorded: Collection[int] = ()) -> Work:
    """Return the work on the task: the submitted work, or else the work under this fence with `recorded` evidence."""
    submission = current_submission(tx, row)
    if submission is None:
        return Work(fence=fence, evidence_ids=frozenset(recorded))
    work = work_of(submission)
    if parse_policy(row.policy).review is ReviewRule.REQUIRED:  # no reviewer has seen evidence that was reported later
        return work._replace(later_ids=frozenset(recorded))
    return work._replace(evidence_ids=frozenset([*work.evidence_ids, *recorded]))
