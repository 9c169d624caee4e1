"""Operations on questions."""

from project_manager.domain.errors import (
    InvalidTransition,
    LockRequired,
    NotHeld,
    OwnQuestion,
    QuestionClosed,
    QuestionNotFound,
    QuestionOpen,
    TaskNotFound,
)
from project_manager.operations.definition import LEASE_ERRORS, WRITES, Operation, Profile, Tool
from project_manager.schemas import questions as schemas
from project_manager.schemas.views import Page
from project_manager.services import questions

QUESTIONS = (
    Operation(
        "ask",
        questions.ask,
        schemas.Ask,
        schemas.AskedView,
        http="POST /api/tasks/{task_id}/questions",
        acts_as="agent_id",
        tool=Tool(
            "Ask a person", WRITES, "task_id text options agent_id fence", profile=Profile.LOOP, required=("agent_id",)
        ),
        raises=(*LEASE_ERRORS, NotHeld, LockRequired, InvalidTransition, QuestionOpen),
        status=201,
    ),
    Operation(
        "answer_question",
        questions.answer,
        schemas.AnswerQuestion,
        schemas.AskedView,
        http="POST /api/tasks/{task_id}/questions/{question_id}/answer",
        acts_as="agent_id",
        raises=(TaskNotFound, QuestionNotFound, QuestionClosed, OwnQuestion),
    ),
    Operation(
        "list_questions",
        questions.list_questions,
        schemas.ListQuestions,
        Page[schemas.QuestionView],
        http="GET /api/questions",
        raises=(TaskNotFound,),
        aliases=("GET /api/tasks/{task_id}/questions",),
    ),
)
