"""Operations on leases."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    EpicNotFound,
    IdempotencyMismatch,
    InvalidTransition,
    NotHeld,
    NotReady,
    ProjectNotFound,
)
from project_manager.operations.definition import IDEMPOTENT, LEASE_ERRORS, WRITES, Kind, Operation, Tool
from project_manager.schemas.leases import (
    AcquiredView,
    AcquireTaskLock,
    ClaimedView,
    ClaimNextTask,
    LeaseView,
    ListLeases,
    NewLeaseView,
    NothingReadyView,
    ReleasedView,
    ReleaseTaskLock,
    RenewTaskLock,
)
from project_manager.schemas.views import Page
from project_manager.services import (
    claim_queue,
    lease_history,
    leases,
)

LEASES = (
    Operation(
        "claim_next_task",
        claim_queue.claim_next,
        ClaimNextTask,
        NothingReadyView | ClaimedView,
        http="POST /api/tasks/claim",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Claim the next task",
            WRITES,
            (
                "agent_id",
                "project_id",
                "project_name",
                "epic_id",
                "epic_name",
                "labels",
                "priority",
                "ttl_seconds",
                "wait_seconds",
                "request_id",
            ),
            needs_agent=True,
        ),
        errors=(ProjectNotFound, EpicNotFound, IdempotencyMismatch),
    ),
    Operation(
        "acquire_task_lock",
        leases.acquire,
        AcquireTaskLock,
        NewLeaseView | AcquiredView,
        http="POST /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Claim a task by id",
            IDEMPOTENT,
            ("task_id", "agent_id", "ttl_seconds", "fence", "request_id"),
            needs_agent=True,
        ),
        errors=(*LEASE_ERRORS, NotReady, InvalidTransition, IdempotencyMismatch),
        aliases=("POST /api/task/{task_id}/lock",),
    ),
    Operation(
        "renew_task_lock",
        leases.renew,
        RenewTaskLock,
        AcquiredView,
        http="PUT /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        tool=Tool("Renew a lease", IDEMPOTENT, ("task_id", "agent_id", "fence", "ttl_seconds"), needs_agent=True),
        errors=(*LEASE_ERRORS, NotHeld),
    ),
    Operation(
        "release_task_lock",
        leases.release,
        ReleaseTaskLock,
        ReleasedView,
        http="DELETE /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Release a lease", WRITES, ("task_id", "agent_id", "fence", "handoff", "failed"), needs_agent=True),
        errors=(*LEASE_ERRORS, NotHeld, IdempotencyMismatch),
        aliases=("DELETE /api/task/{task_id}/lock",),
    ),
    Operation(
        "list_leases",
        lease_history.list_leases,
        ListLeases,
        Page[LeaseView],
        http="GET /api/leases",
    ),
)
