"""Use cases of questions: ask, answer, list."""

import json
from functools import partial
from typing import Any

from project_manager.domain.actors import is_person
from project_manager.domain.errors import OwnQuestion, QuestionClosed, QuestionNotFound, QuestionOpen
from project_manager.domain.events.questions import QuestionAnswered, QuestionAsked
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.domain.names import name_key
from project_manager.domain.offers import OfferReason
from project_manager.domain.questions import AnsweredVia, QuestionState
from project_manager.domain.statuses import BlockedBy, Status
from project_manager.schemas import questions as schemas
from project_manager.schemas.views import Page
from project_manager.services import lookup, offers, paging, transitions
from project_manager.services.authorization import check_write, renew_on_write
from project_manager.services.lease_errors import check_lease, require_lease
from project_manager.services.serializers import lease_of, view_of
from project_manager.services.statuses import StatusChange, change_status
from project_manager.store import questions, seals
from project_manager.store.questions import QuestionRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def ask(tx: Tx, command: schemas.Ask) -> schemas.AskedView:
    """Ask a person about your task, with options to choose from. The task becomes BLOCKED and your lease ends.

    The person answers on the dashboard or over REST. The task is then offered to you, and your next claim returns the
    answer. A client that can ask its user may answer at once; then you keep the lease. One question of a task is open
    at a time.
    """
    row = lookup.task(tx, command.task_id)
    present = questions.open_of(tx, row.id)
    if present is not None:
        raise QuestionOpen(f"question {present.id} of task {row.id} is still open", question_id=present.id)
    if command.client_answer is not None:
        return _ask_with_answer(tx, row, command, command.client_answer)
    check_write(tx, row, command.fence)
    question = _add(tx, row, command)
    change = StatusChange(Status.BLOCKED, fence=command.fence, blocked_by=BlockedBy.QUESTION)
    updated, _ = change_status(tx, row, change)
    return _asked_view(tx, row, updated, question, "is BLOCKED until a person answers")


def _ask_with_answer(tx: Tx, row: TaskRow, command: schemas.Ask, text: str) -> schemas.AskedView:
    """Record the question together with the answer of the asker's client, and keep the lease."""
    require_lease(tx, row, check_lease(tx, row, command.fence))
    asked = _add(tx, row, command)
    question = _answer(tx, row, asked, text, AnsweredVia.CLIENT)
    updated = renew_on_write(tx, row, command.fence)
    return _asked_view(tx, row, updated, question, "has an answer from your client")


def answer(tx: Tx, command: schemas.AnswerQuestion) -> schemas.AskedView:
    """Answer a question about a task. The first answer counts.

    The task returns to TODO and is offered to the asker, and the next claim returns the answer. Refused for the agent
    that asked.
    """
    row = lookup.task(tx, command.task_id)
    question = questions.get(tx, command.question_id)
    if question is None or question.task_id != row.id:
        raise QuestionNotFound(f"task {row.id} has no question {command.question_id}", question_id=command.question_id)
    if tx.actor.is_agent and name_key(question.asker) == name_key(tx.actor.id):
        raise OwnQuestion(f"{tx.actor.id} asked question {question.id} and cannot answer it", question_id=question.id)
    if question.state != QuestionState.OPEN:
        raise _closed_error(question)
    via = AnsweredVia.AGENT if tx.actor.is_agent else AnsweredVia.UNKNOWN
    answered = _answer(tx, row, question, command.text, AnsweredVia.PERSON if is_person(tx.actor) else via)
    changes: dict[str, Any] = {"answer_id": answered.id}
    updated = transitions.set_status(tx, row._replace(**changes), Status.TODO, attempts=row.attempts)
    offered = offers.offer(tx, updated, question.asker, OfferReason.ANSWER)
    return _asked_view(tx, row, offered, answered, "is TODO with the answer")


def list_questions(tx: Tx, command: schemas.ListQuestions) -> Page[schemas.QuestionView]:
    """List questions, newest first. With state=open, these are the ones that wait for a person."""
    chosen: dict[str, Any] = {name: getattr(command, name) for name in ("task_id", "project_id", "state")}
    filters = {name: value for name, value in chosen.items() if value is not None}
    before = paging.start_id(command, filters, ID_MAXIMUM)
    if command.task_id is not None:
        lookup.task(tx, command.task_id)
    stored = questions.Filters(**filters)
    rows, has_more = questions.page(tx, stored, command.limit, before=before)
    count = partial(questions.count, tx, stored)
    return paging.page(command, filters, rows, has_more, count, item=view)


def view(row: QuestionRow) -> schemas.QuestionView:
    """Return the view of a question."""
    return view_of(schemas.QuestionView, row)


def _add(tx: Tx, row: TaskRow, command: schemas.Ask) -> QuestionRow:
    """Insert the question, add it to the log, and emit `task.question_asked`."""
    question = questions.add(tx, row.id, command.text, json.dumps(command.options, ensure_ascii=False))
    details = {"question_id": question.id, "options": command.options}
    transitions.note(tx, row, tx.actor.id, "question", command.text, json.dumps(details, ensure_ascii=False))
    event = QuestionAsked(question_id=question.id, asker=question.asker, options=command.options)
    transitions.emit(tx, event, row, sealed=seals.digests_of("questions", question))
    return question


def _answer(tx: Tx, row: TaskRow, question: QuestionRow, text: str, via: AnsweredVia) -> QuestionRow:
    """Store the answer, add it to the log, and emit `task.question_answered`. Raises QuestionClosed."""
    answered = questions.answer(tx, question.id, text, via)
    if answered is None:
        raise _closed_error(question)
    questions.set_answer(tx, row.id, question.id)
    details = {"question_id": question.id, "via": via.value}
    transitions.note(tx, row, tx.actor.id, "answer", text, json.dumps(details))
    event = QuestionAnswered(question_id=question.id, asker=question.asker, answered_by=tx.actor.id, via=via.value)
    transitions.emit(tx, event, row, sealed=seals.digests_of("questions", answered))
    return answered


def _closed_error(question: QuestionRow) -> QuestionClosed:
    how = f"answered by {question.answered_by}" if question.answered_by else "closed, because its task moved on"
    return QuestionClosed(f"question {question.id} was {how}", question_id=question.id, state=question.state)


def _asked_view(tx: Tx, row: TaskRow, updated: TaskRow, question: QuestionRow, text: str) -> schemas.AskedView:
    return schemas.AskedView(
        success=True,
        message=f"task {row.id} {text}",
        task_id=row.id,
        status=updated.status,
        question=view(question),
        lock_released=lease_of(row, tx.now) is not None and lease_of(updated, tx.now) is None,
    )
