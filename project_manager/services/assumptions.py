"""Use cases of assumptions on tasks: record an assumption, and record any number of verdicts on it."""

from functools import partial
from typing import Any, NamedTuple

from project_manager.domain.assumptions import DEFAULT_CONFIDENCE, family_of, parse_tag
from project_manager.domain.errors import AssumptionNotFound
from project_manager.domain.events.assumptions import AssumptionRecorded, AssumptionValidated
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.schemas import assumptions as schemas
from project_manager.schemas.views import Page
from project_manager.services import budget, lookup, paging, transitions
from project_manager.services.authorization import check_write, renew_on_write
from project_manager.services.serializers import view_of
from project_manager.store import assumptions, seals
from project_manager.store.assumptions import AssumptionRow, VerdictRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

SHOWN_WITH_TASK = 20
ROW_CHARACTERS = 300
LOCATION_FIELDS = ("file_path", "line_number", "code_snippet")


class AssumptionList(NamedTuple):
    """The newest assumptions on a task that fit into the response, and the total number of assumptions."""

    items: list[schemas.AssumptionView]
    total: int


def record(tx: Tx, command: schemas.AddRaTag) -> schemas.RecordedView:
    """Record an assumption about a place in the code, as `#TYPE: text`, so that a reviewer can judge it.

    Only the holder of a leased task (and people) may do so; the holder's record also renews its lease. The path is
    stored as text: no file is opened.
    """
    row = lookup.task(tx, command.task_id)
    check_write(tx, row, command.fence)
    place = {name: getattr(command, name) for name in LOCATION_FIELDS}
    assumption_id = _add(tx, row, command.text, place).id
    renew_on_write(tx, row, command.fence)
    found = _view(_find(tx, row.id, assumption_id))
    return schemas.RecordedView(success=True, task_id=row.id, ra_tag_id=assumption_id, assumption=found)


def record_with_task(tx: Tx, row: TaskRow, tags: list[str]) -> list[schemas.NotedView]:
    """Record assumptions about the task, and return them. The caller has checked that the actor may write."""
    nowhere = dict.fromkeys(LOCATION_FIELDS)
    return [_add(tx, row, tag, nowhere) for tag in tags]


def record_verdict(tx: Tx, command: schemas.CaptureAssumptionValidation) -> schemas.ValidatedView:
    """Give your verdict on an assumption: validated, rejected or partial, with the reason.

    Any reviewer may judge, without a lease. The newest verdict counts; earlier ones stay in the history.
    """
    row = lookup.task(tx, command.task_id)
    before = _find(tx, row.id, command.assumption_id)
    confidence = DEFAULT_CONFIDENCE[command.verdict] if command.confidence is None else command.confidence
    given = assumptions.add_verdict(tx, before.id, command.verdict.value, confidence, command.reason)
    previous = None if before.verdict is None else before.verdict.verdict
    event = AssumptionValidated(
        assumption_id=before.id,
        verdict=given.verdict,
        previous_verdict=previous,
        confidence=confidence,
        reviewer=given.reviewer,
    )
    transitions.emit(tx, event, row, sealed=seals.stored(tx, "assumption_verdicts", "id", given.id))
    renew_on_write(tx, row, None)
    return schemas.ValidatedView(
        success=True,
        task_id=row.id,
        ra_tag_id=before.id,
        validation_id=given.id,
        outcome=given.verdict,
        assumption=_view(_find(tx, row.id, before.id)),
    )


def list_assumptions(tx: Tx, command: schemas.ListAssumptions) -> Page[schemas.AssumptionView]:
    """List the assumptions on a task, newest first, with the verdicts that count."""
    row = lookup.task(tx, command.task_id)
    filters = {"assumptions_of": row.id, "verdict": command.verdict}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    rows, has_more = assumptions.page(tx, row.id, command.verdict, before=before, limit=command.limit)
    count = partial(assumptions.count, tx, row.id, command.verdict)
    return paging.page(command, filters, rows, has_more, count, item=_view)


def get(tx: Tx, command: schemas.GetAssumption) -> schemas.AssumptionHistoryView:
    """Read one assumption with every verdict on it, newest first."""
    row = lookup.task(tx, command.task_id)
    found = _find(tx, row.id, command.assumption_id)
    history = [_verdict(verdict) for verdict in assumptions.history(tx, found.id)]
    return schemas.AssumptionHistoryView(assumption=_view(found), history=history)


def for_task(tx: Tx, task_id: int, *, room: int | None) -> AssumptionList:
    """Return the newest assumptions on the task, in about `room` characters. None limits only the number of rows."""
    rows, has_more = assumptions.page(tx, task_id, before=ID_MAXIMUM, limit=SHOWN_WITH_TASK)
    total = assumptions.count(tx, task_id, exact=True).number if has_more else len(rows)
    fitting = budget.within(rows, room, lambda row: len(row.text) + len(row.code_snippet or "") + ROW_CHARACTERS)
    return AssumptionList([_view(row) for row in fitting], total)


def _add(tx: Tx, row: TaskRow, tag: str, place: dict[str, Any]) -> schemas.NotedView:
    tag_type, text = parse_tag(tag)
    assumption_id = assumptions.add(tx, row.id, {"type": tag_type, "text": text, **place})
    sealed = seals.stored(tx, "assumptions", "id", assumption_id)
    event = AssumptionRecorded(assumption_id=assumption_id, assumption_type=tag_type, author=tx.actor.id)
    transitions.emit(tx, event, row, sealed=sealed)
    return schemas.NotedView(assumption_id, tag_type, text)


def _find(tx: Tx, task_id: int, assumption_id: int) -> AssumptionRow:
    row = assumptions.get(tx, task_id, assumption_id)
    if row is None:
        raise AssumptionNotFound(
            f"assumption {assumption_id} of task {task_id} not found", task_id=task_id, assumption_id=assumption_id
        )
    return row


def _view(row: AssumptionRow) -> schemas.AssumptionView:
    verdict = None if row.verdict is None else _verdict(row.verdict)
    return view_of(schemas.AssumptionView, row, family=family_of(row.type), verdict=verdict)


def _verdict(row: VerdictRow) -> schemas.VerdictView:
    return view_of(schemas.VerdictView, row)
