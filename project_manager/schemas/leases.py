"""Commands and views of leases."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from project_manager.domain import limits
from project_manager.domain.leases import LeaseKind, LockView
from project_manager.domain.pauses import PausedView
from project_manager.schemas import fields
from project_manager.schemas.commands import WAIT_DESCRIPTION, Command, IdempotentCommand, Leased, Paged, Scoped
from project_manager.schemas.knowledge import KnowledgeExcerptView
from project_manager.schemas.reviews import SubmissionView
from project_manager.schemas.tasks import TaskView

_TTL = AliasChoices("ttl_seconds", "timeout", "duration_seconds")


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default from the schema. A client that sends the default would shorten a lease that it renews."""
    del schema["default"]


class AcquireTaskLock(Leased):
    task_id: fields.Id
    ttl_seconds: fields.TtlSeconds = Field(
        limits.LEASE_SECONDS_DEFAULT,
        validation_alias=_TTL,
        description="seconds, 1..3600; kept on renewal",
        json_schema_extra=_without_default,
    )
    force: fields.Flag = Field(False, description="operators only: take over the lease")

    @property
    def requested_seconds(self) -> int | None:
        """Return the requested length in seconds, or None."""
        return self.ttl_seconds if "ttl_seconds" in self.model_fields_set else None


class RenewTaskLock(Command):
    task_id: fields.Id | None = Field(None, description="default: all your leases")
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    fence: fields.Fence | None = Field(None, description="fence of your lease")
    ttl_seconds: fields.TtlSeconds | None = Field(
        None, validation_alias=_TTL, description="1..3600; default: unchanged"
    )
    paths: fields.Paths = Field(default_factory=list, description="globs to add")


class RenewAgentLocks(Command):
    agent_id: fields.AgentId


class ReleaseTaskLock(Leased):
    task_id: fields.Id
    handoff: fields.Text | None = Field(None, description="note for the next agent")
    failed: fields.Flag = Field(False, description="count as a failed attempt")
    force: fields.Flag = Field(False, description="operators only: end any lease")


class ClaimNextTask(IdempotentCommand, Scoped):
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    labels: fields.Labels = Field(default_factory=list, description="all of these")
    priority: fields.Priority | None = Field(None, description="this priority or more urgent")
    kind: Annotated[LeaseKind, fields.IN_ANY_CASE] = Field("work", description="review: submitted work to review")
    ttl_seconds: fields.TtlSeconds = Field(
        limits.LEASE_SECONDS_NEXT, validation_alias=_TTL, description="seconds, 1..3600"
    )
    wait_seconds: fields.WaitSeconds = Field(0, description=WAIT_DESCRIPTION)


class ListLeases(Paged):
    agent_id: fields.AgentId | None = Field(None, description="leases of this agent only")
    since: fields.Instant | None = Field(None, description="leases active at or after this time, RFC 3339")
    until: fields.Instant | None = Field(None, description="leases that began before this time, RFC 3339")


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease and its end. `status` is the status of the task after the end. `ended_at`, `reason` and `status` are
    null for a live lease.
    """

    task_id: int
    task_name: str
    project_id: int
    agent_id: str
    fence: int
    acquired_at: str
    expires_at: str
    ended_at: str | None
    reason: (
        Literal[
            "explicit_release", "failed", "auto_release", "lock_expired", "unconfirmed", "forced", "stopped", "deleted"
        ]
        | None
    )
    status: str | None


@dataclass(frozen=True, slots=True)
class AcquiredView:
    """A new or renewed lease, with its task. `notice` is a hint for the holder, or null."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    timeout: int
    expires_at: str
    renewed: bool
    task: TaskView
    lock: LockView
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class RequestedChangesView:
    """The review that requested changes of the last submission, at most 2,000 characters."""

    reviewer: str
    body: str
    round: int


@dataclass(frozen=True, slots=True)
class AnsweredView:
    """The newest answer to a question about the task. Texts have at most 2,000 characters."""

    question: str
    answer: str
    answered_by: str
    via: str


@dataclass(frozen=True, slots=True)
class HandoffView:
    """The newest handoff note of a task, at most 2,000 characters."""

    author: str
    body: str
    created_at: str


# Faster than a frozen dataclass, see `LockView`: a claim of a busy agent creates six.
@dataclass
class OtherLeaseView:
    """Another lease of the same agent."""

    task_id: int
    fence: int
    expires_at: str


@dataclass(frozen=True, slots=True)
class NewLeaseView(AcquiredView):
    """A new lease, with its task, the handoff note, the most important knowledge of the project, and the number of
    entries in the log. `also_holding` are other leases of the same agent, possibly of another session. `review` has the
    requested changes, `answer` the answer to a question, and `submission` the work to review. `policy` has the rules of
    the project for DONE, if it has any.
    """

    handoff: HandoffView | None = None
    knowledge: list[KnowledgeExcerptView] = field(default_factory=list)
    log_entries: int = 0
    also_holding: list[OtherLeaseView] = field(default_factory=list)
    review: RequestedChangesView | None = None
    answer: AnsweredView | None = None
    submission: SubmissionView | None = None
    policy: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RenewedLeasesView:
    """The renewed leases of an agent, at most 500 of them. `renewed` is the number of all."""

    agent_id: str
    renewed: int
    leases: list[OtherLeaseView]


@dataclass(frozen=True, slots=True)
class BlockerCountView:
    """A blocker, with the number of blocked tasks. If more are blocked, `tasks_is_minimum` is true."""

    reason: str
    tasks: int
    tasks_is_minimum: bool


@dataclass(frozen=True, slots=True)
class ClaimView:
    """The result of a claim: the task with its lease, or null for both if no task was claimed."""

    task: TaskView | None
    lock: LockView | None
    message: str


@dataclass(frozen=True, slots=True)
class ClaimedView(ClaimView):
    """The claimed task, its handoff note, the most important knowledge of its project, and the number of entries in its
    log. `also_holding` are other leases of the same agent, possibly of another session. `notice` is a hint for the
    holder, or null.
    """

    notice: str | None
    handoff: HandoffView | None
    knowledge: list[KnowledgeExcerptView]
    log_entries: int
    also_holding: list[OtherLeaseView]
    review: RequestedChangesView | None = None
    answer: AnsweredView | None = None
    submission: SubmissionView | None = None
    policy: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NothingReadyView(ClaimView):
    """The response if no task is ready: the number of tasks, their blockers, and the leases of the agent. `paused` is
    the pause of the agent or of tasks that only pauses withhold, or null.

    Each blocker counts at most 1000 tasks. If there are more, `tasks_is_minimum` is true.
    """

    tasks: int
    tasks_is_minimum: bool
    blockers: list[BlockerCountView]
    also_holding: list[OtherLeaseView] = field(default_factory=list)
    paused: PausedView | None = None


@dataclass(frozen=True, slots=True)
class ReleasedView:
    """A released lease, with its task."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    task: TaskView
