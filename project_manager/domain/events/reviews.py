"""Events of submissions and reviews."""

from typing import Annotated

from project_manager.domain.events.event import AUTHOR, TaskEvent
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
