"""Operations on leases."""

from project_manager.domain.errors import (
    BoundTokenRequired,
    EpicNotFound,
    InvalidTransition,
    LeaseForReview,
    NotHeld,
    NotReady,
    OwnReview,
    PathsReserved,
    Paused,
    ProjectNotFound,
)
from project_manager.operations.definition import (
    IDEMPOTENT,
    LEASE_ERRORS,
    WRITES,
    LongPoll,
    Operation,
    Profile,
    Tool,
    WaitsFor,
)
from project_manager.schemas import leases as schemas
from project_manager.schemas.views import Page
from project_manager.services import claim_queue, lease_history, leases, paths

LEASES = (
    Operation(
        "claim_next_task",
        claim_queue.claim_next,
        schemas.ClaimNextTask,
        schemas.NothingReadyView | schemas.ClaimedView,
        http="POST /api/tasks/claim",
        acts_as="agent_id",
        waits=LongPoll("wait_seconds", WaitsFor.TASK),
        has_effect=claim_queue.has_claimed,
        tool=Tool(
            "Claim the next task",
            WRITES,
            "agent_id project_id project_name epic_name labels priority kind ttl_seconds wait_seconds request_id",
            profile=Profile.LOOP,
            required=("agent_id",),
            omitted_in_loop="project_id ttl_seconds",
        ),
        raises=(ProjectNotFound, EpicNotFound, BoundTokenRequired),
    ),
    Operation(
        "acquire_task_lock",
        leases.acquire,
        schemas.AcquireTaskLock,
        schemas.NewLeaseView | schemas.AcquiredView,
        http="POST /api/tasks/{task_id}/lock",
        acts_as="agent_id",
        tool=Tool(
            "Claim a task by id", IDEMPOTENT, "task_id agent_id fence", required=("agent_id",), operator_only=("force",)
        ),
        raises=(*LEASE_ERRORS, Paused, NotReady, InvalidTransition, OwnReview, BoundTokenRequired),
        aliases=("POST /api/task/{task_id}/lock",),
    ),
    Operation(
        "renew_task_lock",
        leases.renew,
        schemas.RenewTaskLock,
        schemas.AcquiredView,
        http="PUT /api/tasks/{task_id}/lock",
        acts_as="agent_id",
        compare_globs=paths.compare_edit,
        tool=Tool(
            "Renew leases",
            IDEMPOTENT,
            "task_id agent_id fence ttl_seconds paths",
            profile=Profile.LOOP,
            required=("agent_id",),
            omitted_in_loop="ttl_seconds paths",
            lists_ack=True,
        ),
        raises=(*LEASE_ERRORS, NotHeld, PathsReserved, LeaseForReview),
    ),
    Operation(
        "renew_agent_locks",
        leases.renew_all,
        schemas.RenewAgentLocks,
        schemas.RenewedLeasesView,
        http="PUT /api/agents/{agent_id}/locks",
        acts_as="agent_id",
    ),
    Operation(
        "release_task_lock",
        leases.release,
        schemas.ReleaseTaskLock,
        schemas.ReleasedView,
        http="DELETE /api/tasks/{task_id}/lock",
        acts_as="agent_id",
        while_stopped=True,
        tool=Tool(
            "Release a lease",
            WRITES,
            "task_id agent_id fence handoff failed",
            profile=Profile.LOOP,
            required=("agent_id",),
            operator_only=("force",),
        ),
        raises=(*LEASE_ERRORS, NotHeld),
        aliases=("DELETE /api/task/{task_id}/lock",),
    ),
    Operation(
        "list_leases", lease_history.list_leases, schemas.ListLeases, Page[schemas.LeaseView], http="GET /api/leases"
    ),
)
