"""Events of reviews, offers and questions."""

from typing import Annotated

from project_manager.domain.event import ASKER, AUTHOR, HOLDER, TaskEvent, TaskStatus
from project_manager.domain.offers import OfferReason
from project_manager.domain.questions import AnsweredVia
from project_manager.domain.reviews import ReviewVerdict


class TaskSubmitted(TaskEvent):
    """Work was submitted for review. The task is in REVIEW."""

    type = "task.submitted"
    touches = (*TaskEvent.touches, AUTHOR)
    submission_id: int
    round: Annotated[int, "number of the submission of this task, from 1"]
    author: str
    fence: int
    digest: Annotated[str, "SHA-256 of the submitted work"]
    version: int


class TaskReviewed(TaskEvent):
    """A reviewer gave the verdict on a submission."""

    type = "task.reviewed"
    touches = (*TaskEvent.touches, AUTHOR)
    submission_id: int
    round: Annotated[int, "number of the submission of this task, from 1"]
    author: Annotated[str, "author of the submission"]
    reviewer: str
    verdict: Annotated[str, ReviewVerdict]
    missing: Annotated[list[str], "what an approved task still lacks for DONE"]
    version: int


class TaskOffered(TaskEvent):
    """A task is offered to one agent. It is ready for that agent only, until the offer ends."""

    type = "task.offered"
    touches = (*TaskEvent.touches, HOLDER)
    may_make_ready = True
    agent_id: Annotated[str, "the agent that the task is offered to"]
    reason: Annotated[str, OfferReason]
    until: Annotated[str, "latest end of the offer"]
    status: TaskStatus
    version: int


class TaskOfferEnded(TaskEvent):
    """An offer ended without a claim by its agent. The task is ready for every agent, unless it has other blockers."""

    type = "task.offer_ended"
    touches = (*TaskEvent.touches, HOLDER)
    may_make_ready = True
    agent_id: Annotated[str, "the agent that the task was offered to"]
    status: TaskStatus
    version: int


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
