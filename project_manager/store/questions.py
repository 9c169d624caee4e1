"""Questions about tasks, with their answers."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.questions import AnsweredVia, QuestionState
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import tasks
from project_manager.store.tables_questions import questions
from project_manager.store.transaction import Tx


class QuestionRow(NamedTuple):
    """A stored question. `options` is a JSON array. Times are in milliseconds.

    The last fields are those of its answer, and None until there is one. `closed_at` is also set without an answer.
    """

    id: int
    task_id: int
    asker: str
    text: str
    options: str
    state: str
    asked_at: int
    answer: str | None
    answered_by: str | None
    via: str | None
    closed_at: int | None


_c = questions.c
_COLUMNS = [_c[name] for name in QuestionRow._fields]
_open = _c.state == literal_column(f"'{QuestionState.OPEN}'")
_GET = Statement(select(*_COLUMNS).where(_c.id == bindparam("question_id")))
_OPEN_OF = Statement(select(*_COLUMNS).where(_c.task_id == bindparam("task_id"), _open))
_ADD = Statement(
    insert(questions)
    .values(**bindparams("task_id", "asker", "text", "options", "state"), asked_at=bindparam("now"))
    .returning(*_COLUMNS)
)
_ANSWER = Statement(
    update(questions)
    .where(_c.id == bindparam("question_id"), _open)
    .values(**bindparams("state", "answer", "answered_by", "via"), closed_at=bindparam("now"))
    .returning(*_COLUMNS)
)
_CLOSE = Statement(
    update(questions)
    .where(_c.task_id == bindparam("task_id"), _open)
    .values(state=literal_column(f"'{QuestionState.CLOSED}'"), closed_at=bindparam("now"))
    .returning(*_COLUMNS)
)
_SET_ANSWER = Statement(
    update(tasks).where(tasks.c.id == bindparam("task_id")).values(answer_id=bindparam("question_id"))
)


def get(tx: Tx, question_id: int) -> QuestionRow | None:
    return _GET.one(tx, QuestionRow._make, question_id=question_id)


def open_of(tx: Tx, task_id: int) -> QuestionRow | None:
    """Return the open question of the task, or None."""
    return _OPEN_OF.one(tx, QuestionRow._make, task_id=task_id)


def add(tx: Tx, task_id: int, text: str, options: str) -> QuestionRow:
    """Insert an open question of the actor and return it."""
    values = {"task_id": task_id, "asker": tx.actor.id, "text": text, "options": options}
    return QuestionRow._make(_ADD.row(tx, **values, state=QuestionState.OPEN.value, now=tx.now) or ())


def answer(tx: Tx, question_id: int, text: str, via: AnsweredVia) -> QuestionRow | None:
    """Store the answer of the actor and return the question. Return None when the question is not open."""
    values = {"state": QuestionState.ANSWERED.value, "answer": text, "answered_by": tx.actor.id, "via": via.value}
    return _ANSWER.one(tx, QuestionRow._make, question_id=question_id, **values, now=tx.now)


def close(tx: Tx, task_id: int) -> QuestionRow | None:
    """Close the open question of the task without an answer, and return it. Return None when there is none."""
    return _CLOSE.one(tx, QuestionRow._make, task_id=task_id, now=tx.now)


def set_answer(tx: Tx, task_id: int, question_id: int) -> None:
    """Let the next claims of the task return the answer of this question."""
    _SET_ANSWER.write(tx, task_id=task_id, question_id=question_id)


def _selected(names: frozenset[str], state: QuestionState | None) -> Select[Any]:
    """Select the questions with these filters. The state is a literal, which the index of open questions requires."""
    found = select(*_COLUMNS)
    if state is not None:
        found = found.where(_c.state == literal_column(f"'{state}'"))
    if "task_id" in names:
        found = found.where(_c.task_id == bindparam("task_id"))
    if "project_id" in names:
        in_project = select(tasks.c.id).where(tasks.c.project_id == bindparam("project_id"))
        if state is QuestionState.OPEN:  # they are few, so that the tasks of the project need not be listed
            found = found.where(in_project.where(tasks.c.id == _c.task_id).correlate(questions).exists())
        else:
            found = found.where(_c.task_id.in_(in_project))
    return found


@lru_cache(maxsize=16)
def _page(names: frozenset[str], state: QuestionState | None) -> Statement:
    found = _selected(names, state).where(_c.id < bindparam("before"))
    return Statement(found.order_by(_c.id.desc()).limit(bindparam("limit")))


@lru_cache(maxsize=16)
def _counter(names: frozenset[str], state: QuestionState | None) -> Statement:
    return pages.counter(_selected(names, state))


class Filters(NamedTuple):
    """The filters of a list of questions."""

    task_id: int | None = None
    project_id: int | None = None
    state: QuestionState | None = None

    @property
    def ids(self) -> dict[str, int]:
        """The ids of the filters that are set, by name."""
        named = {"task_id": self.task_id, "project_id": self.project_id}
        return {name: value for name, value in named.items() if value is not None}


def page(tx: Tx, filters: Filters, limit: int, *, before: int) -> tuple[list[QuestionRow], bool]:
    """Return up to `limit` questions with an id below `before`, newest first, and whether more follow."""
    statement = _page(frozenset(filters.ids), filters.state)
    return pages.page(tx, QuestionRow._make, statement, {**filters.ids, "before": before}, limit)


def count(tx: Tx, filters: Filters, *, exact: bool) -> Total:
    return pages.count(tx, _counter(frozenset(filters.ids), filters.state), filters.ids, exact=exact)
