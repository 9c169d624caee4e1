"""Search for submitted work that an agent can review, in claim order."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.readiness import Withheld
from project_manager.store.claim_search import Search
from project_manager.store.labels import has_all_labels
from project_manager.store.ready_tasks import CLAIM_ORDER
from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.tables_reviews import submissions
from project_manager.store.tasks import POLICY
from project_manager.store.transaction import Tx

COMPARED = 512
"""Submissions that one search compares at most. It matters only for an agent that submitted nearly all of them."""


_REVIEWABLE: list[ColumnElement[int]] = [literal_column("0"), literal_column(str(int(Withheld.PATHS)))]
"""The flags of tasks that can be reviewed. A review reserves no paths."""


class Reviewable(NamedTuple):
    """A task with submitted work that waits for a verdict. `policy` is the one of its project, as JSON."""

    task_id: int
    author: str
    token_id: int | None
    policy: str


def find(tx: Tx, search: Search) -> Iterator[Reviewable]:
    """Yield the tasks with submitted work and without a lease that the filters accept, in claim order."""
    values = {**search, "agent": tx.actor.id, "now": tx.now}
    if "labels" in search:
        values["labels"] = json.dumps(search["labels"])
    return map(Reviewable._make, _statement(frozenset(search)).each(tx, **values))


@lru_cache(maxsize=32)
def _statement(names: frozenset[str]) -> Statement:
    conditions = [
        tasks.c.status == literal_column("'REVIEW'"),
        tasks.c.submission_id.is_not(None),
        tasks.c.withheld.in_(_REVIEWABLE),
        tasks.c.lock_holder.is_(None) | (tasks.c.lock_expires_at <= bindparam("now")),
        submissions.c.verdict.is_(None),
        submissions.c.author != bindparam("agent"),
        *[tasks.c[name] == bindparam(name) for name in ("project_id", "epic_id") if name in names],
    ]
    if "priority" in names:
        conditions.append(tasks.c.priority <= bindparam("priority"))
    if "labels" in names:
        conditions.append(has_all_labels(tasks, "id"))
    found = (
        select(tasks.c.id, submissions.c.author, submissions.c.token_id, POLICY)
        .select_from(tasks)
        .with_hint(tasks, "INDEXED BY ix_tasks_in_review", "sqlite")
        .join(submissions, submissions.c.id == tasks.c.submission_id)
        .where(*conditions)
        .order_by(*CLAIM_ORDER)
    )
    return Statement(found.limit(literal_column(str(COMPARED))))
