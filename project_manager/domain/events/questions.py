"""Events of questions."""

from typing import Annotated

from project_manager.domain.events.event import ASKER, TaskEvent
from project_manager.domain.questions import AnsweredVia


class QuestionAsked(TaskEvent):
    """An agent asked a question about its task. The event does not contain the text."""

    type = "task.question_asked"
    question_id: int
    asker: str
    options: Annotated[list[str], "answers to choose from"]


class QuestionAnswered(TaskEvent):
    """A question about a task was answered. The event does not contain the text."""

    type = "task.question_answered"
    touches = (*TaskEvent.touches, ASKER)
    question_id: int
    asker: str
    answered_by: str
    via: Annotated[str, AnsweredVia]


class QuestionWithoutAnswer(TaskEvent):
    """A question was closed without an answer, because its task moved on."""

    type = "task.question_closed"
    touches = (*TaskEvent.touches, ASKER)
    question_id: int
    asker: str
