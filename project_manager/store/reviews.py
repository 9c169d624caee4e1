"""Submissions of work, each with its review: the rows of the table `submissions`."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, Text, bindparam, func, insert, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.evidence import Evidence
from project_manager.domain.reviews import ReviewVerdict
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import tasks
from project_manager.store.tables_reviews import submissions
from project_manager.store.transaction import Tx


class SubmissionRow(NamedTuple):
    """A stored submission. `evidence` is a JSON array of ids of log entries. Times are in milliseconds.

    The last fields are those of its review, and None until there is one.
    """

    id: int
    task_id: int
    round: int
    author: str
    token_id: int | None
    fence: int
    summary: str
    branch: str | None
    commit_id: str | None
    pull_request: str | None
    evidence: str
    digest: str
    created_at: int
    verdict: str | None
    reviewer: str | None
    reviewer_kind: str | None
    body: str | None
    reviewed_at: int | None


_c = submissions.c
_COLUMNS = [_c[name] for name in SubmissionRow._fields]
_FIRST_OF_REVIEW = SubmissionRow._fields.index("verdict")
_WRITTEN = SubmissionRow._fields[1:_FIRST_OF_REVIEW]
_REVIEW = SubmissionRow._fields[_FIRST_OF_REVIEW:]
_GET = Statement(select(*_COLUMNS).where(_c.id == bindparam("submission_id")))
_ADD = Statement(insert(submissions).values(bindparams(*_WRITTEN)).returning(*_COLUMNS))
_SET_CURRENT = Statement(
    update(tasks).where(tasks.c.id == bindparam("task_id")).values(submission_id=bindparam("submission_id"))
)
_SET_REVIEW = Statement(
    update(submissions)
    .where(_c.id == bindparam("submission_id"), _c.verdict.is_not_distinct_from(bindparam("read_verdict", type_=Text)))
    .values(bindparams(*_REVIEW))
    .returning(*_COLUMNS)
)
_WITH_DIGEST = Statement(
    select(*_COLUMNS)
    .where(_c.task_id == bindparam("task_id"), _c.digest == bindparam("digest"))
    .order_by(_c.id.desc())
    .limit(literal_column("1"))
)
_LAST_ROUND = Statement(select(func.max(_c.round)).where(_c.task_id == bindparam("task_id")))
_approved = (
    select(func.coalesce(func.max(_c.id), literal_column("0")))
    .where(_c.task_id == bindparam("task_id"), _c.verdict == literal_column("'approved'"))
    .scalar_subquery()
)
_REWORKS = Statement(
    select(func.count())
    .select_from(submissions)
    .where(_c.task_id == bindparam("task_id"), _c.verdict == literal_column("'changes_requested'"), _c.id > _approved)
)


def get(tx: Tx, submission_id: int) -> SubmissionRow | None:
    return _GET.one(tx, SubmissionRow._make, submission_id=submission_id)


def newest(tx: Tx, task_id: int, limit: int, *, before: int) -> tuple[list[SubmissionRow], bool]:
    """Return up to `limit` submissions of the task with an id below `before`, newest first, and whether more follow."""
    return pages.page(tx, SubmissionRow._make, _page(), {"task_id": task_id, "before": before}, limit)


def count(tx: Tx, task_id: int, *, exact: bool) -> Total:
    return pages.count(tx, _counter(), {"task_id": task_id}, exact=exact)


def add(tx: Tx, values: dict[str, Any]) -> SubmissionRow:
    """Insert a submission, make it the one that waits for a verdict, and return it."""
    row = SubmissionRow._make(_ADD.row(tx, **values, created_at=tx.now) or ())
    set_current(tx, row)
    return row


def set_current(tx: Tx, submission: SubmissionRow) -> None:
    """Make the submission the one that waits for a verdict."""
    _SET_CURRENT.write(tx, task_id=submission.task_id, submission_id=submission.id)


def next_round(tx: Tx, task_id: int) -> int:
    """Return the number of the next submission of the task."""
    return int(_LAST_ROUND.value(tx, task_id=task_id) or 0) + 1


def with_digest(tx: Tx, task_id: int, digest: str) -> SubmissionRow | None:
    """Return the newest submission of the task with this digest, or None."""
    return _WITH_DIGEST.one(tx, SubmissionRow._make, task_id=task_id, digest=digest)


def set_review(
    tx: Tx, current: SubmissionRow, verdict: ReviewVerdict, reviewer: str, reviewer_kind: str, body: str
) -> SubmissionRow | None:
    """Store the verdict on the submission and return the new row. Return None when another verdict has come first."""
    values = {"verdict": verdict.value, "reviewer": reviewer, "reviewer_kind": reviewer_kind, "body": body}
    read = {"submission_id": current.id, "read_verdict": current.verdict}
    return _SET_REVIEW.one(tx, SubmissionRow._make, **read, **values, reviewed_at=tx.now)


def reworks(tx: Tx, task_id: int) -> int:
    """Return the number of verdicts that requested changes since the last approval."""
    return int(_REWORKS.value(tx, task_id=task_id))


@lru_cache(maxsize=1)
def _page() -> Statement:
    return Statement(_of_task().where(_c.id < bindparam("before")).order_by(_c.id.desc()).limit(bindparam("limit")))


@lru_cache(maxsize=1)
def _counter() -> Statement:
    return pages.counter(_of_task())


def _of_task() -> Select[Any]:
    return select(*_COLUMNS).where(_c.task_id == bindparam("task_id"))


def ids_of(evidence: Sequence[Evidence]) -> str:
    """Return the ids of the log entries as a JSON array, as a submission stores them."""
    return json.dumps([entry.log_id for entry in evidence])
