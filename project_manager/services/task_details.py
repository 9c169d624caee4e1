"""The use case that reads a task in full, with its log, links, evidence, submission and question."""

from typing import Any

from project_manager.domain.limits import ID_MAXIMUM
from project_manager.domain.policies import parse_policy
from project_manager.domain.statuses import BlockedBy, Status
from project_manager.schemas import tasks as schemas
from project_manager.schemas.questions import QuestionView
from project_manager.schemas.views import NamedView
from project_manager.services import assumptions, budget, evidence, lookup, policies, reviews, serializers
from project_manager.store import evidence as store_evidence
from project_manager.store import links, logs, questions, subtasks, tasks
from project_manager.store import reviews as store_reviews
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def details(tx: Tx, command: schemas.GetTaskDetails) -> schemas.TaskDetailsView:
    """Read a task in full: description, criteria, dependencies, dependents, subtasks, and its log.

    The log is newest first, and includes handoff notes and failed attempts of others. before=logs_before returns older
    entries.
    """
    row = lookup.task(tx, command.task_id)
    project = lookup.project(tx, row.project_id)
    epic = None if row.epic_id is None else lookup.epic(tx, row.epic_id)
    entries, has_more = logs.newest(tx, row.id, command.log_limit, before=command.before or ID_MAXIMUM)
    tokens = command.budget_tokens
    room = tokens and budget.characters(tokens)
    included = budget.within(entries, room, budget.size_of_log)
    assumed = assumptions.for_task(tx, row.id, room=room and room // 4)
    return schemas.TaskDetailsView(
        task_id=row.id,
        task=serializers.task(tx, row),
        project=NamedView(project.id, project.name),
        epic=None if epic is None else NamedView(epic.id, epic.name),
        dependencies=serializers.links(tasks.named(tx, links.dependencies_of(tx, row.id))),
        dependents=serializers.links(links.dependents_of(tx, row.id)),
        parent=None if row.parent_id is None else next(iter(serializers.links(tasks.named(tx, [row.parent_id]))), None),
        subtasks=serializers.links(subtasks.named(tx, row.id)),
        progress=serializers.progress(subtasks.progress_of(tx, [row.id]).get(row.id)),
        assumptions=assumed.items,
        assumptions_total=assumed.total,
        logs=[serializers.log(entry) for entry in included],
        logs_before=included[-1].id if included and (has_more or len(included) < len(entries)) else None,
        **_review_fields(tx, row),
        question=_open_question(tx, row),
    )


def _review_fields(tx: Tx, row: TaskRow) -> dict[str, Any]:
    """Return the evidence by criterion, the newest submission, and the parts that the policy still demands for DONE."""
    submitted, _ = store_reviews.newest(tx, row.id, 1, before=ID_MAXIMUM)
    work = policies.current_work(tx, row, fence=row.fence)
    entries = store_evidence.of_task(tx, row.id)
    is_done = row.status == Status.DONE
    return {
        "criteria": evidence.by_criterion(tx, row, entries, work),
        "submission": reviews.view(row, submitted[0]) if submitted else None,
        "missing": [] if is_done else policies.missing_of(tx, row, parse_policy(row.policy), work),
    }


def _open_question(tx: Tx, row: TaskRow) -> QuestionView | None:
    found = questions.open_of(tx, row.id) if row.blocked_by == BlockedBy.QUESTION else None
    return None if found is None else serializers.view_of(QuestionView, found)
