"""Operations on submissions and reviews."""

from project_manager.domain.errors import (
    AlreadyReviewed,
    BoundTokenRequired,
    NotInReview,
    OwnReview,
    PersonRequired,
    StaleSubmission,
    TaskNotFound,
)
from project_manager.operations.definition import LEASE_ERRORS, WRITES, Operation, Tool
from project_manager.schemas import reviews as schemas
from project_manager.schemas.views import Page
from project_manager.services import reviews

REVIEWS = (
    Operation(
        "review_task",
        reviews.review,
        schemas.ReviewTask,
        schemas.ReviewedView,
        http="POST /api/tasks/{task_id}/reviews",
        acts_as="agent_id",
        tool=Tool(
            "Review submitted work", WRITES, "task_id verdict digest body agent_id fence", required=("agent_id",)
        ),
        raises=(
            *LEASE_ERRORS,
            OwnReview,
            BoundTokenRequired,
            PersonRequired,
            NotInReview,
            StaleSubmission,
            AlreadyReviewed,
        ),
        status=201,
    ),
    Operation(
        "list_submissions",
        reviews.list_submissions,
        schemas.ListSubmissions,
        Page[schemas.SubmissionView],
        http="GET /api/tasks/{task_id}/submissions",
        raises=(TaskNotFound,),
    ),
)
