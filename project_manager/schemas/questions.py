"""Commands and views of questions."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from project_manager.domain import limits
from project_manager.domain.questions import QuestionState
from project_manager.schemas import fields
from project_manager.schemas.commands import Leased, Paged

Options = Annotated[list[fields.Name], fields.max_items(limits.QUESTION_OPTIONS), BeforeValidator(fields.parse_list)]


class Ask(Leased):
    task_id: fields.Id
    text: fields.QuestionText = Field(validation_alias=AliasChoices("text", "question"), description="the question")
    options: Options = Field(default_factory=list, description="answers to choose from")
    client_answer: fields.QuestionText | None = Field(None, description="answer of the user of this client, if any")


class AnswerQuestion(Leased):
    task_id: fields.Id
    question_id: fields.Id
    text: fields.QuestionText = Field(validation_alias=AliasChoices("text", "answer"), description="the answer")


class ListQuestions(Paged):
    task_id: fields.Id | None = None
    project_id: fields.Id | None = None
    state: Annotated[QuestionState, fields.IN_ANY_CASE] | None = None


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question of an agent. `via` is the origin of the answer: person, agent, client or unknown.

    `client` is the user of the asker's own client. `unknown` is a caller without a token.
    """

    id: int
    task_id: int
    asker: str
    text: str
    options: list[str]
    state: str
    asked_at: str
    answer: str | None
    answered_by: str | None
    via: str | None
    closed_at: str | None


@dataclass(frozen=True, slots=True)
class AskedView:
    """The effect of a question or an answer. `status` is that of the task."""

    success: bool
    message: str
    task_id: int
    status: str
    question: QuestionView
    lock_released: bool
