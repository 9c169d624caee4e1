"""The command and the views of the flow."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from project_manager.domain.limits import FLOW_HOURS_MAXIMUM
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, Scoped


class GetFlow(Scoped):
    hours: fields.Integer = Field(24, ge=1, le=FLOW_HOURS_MAXIMUM, description="length of the range, 1..720")
    until: fields.Instant | None = Field(None, description="the range ends with the hour of this time; default: now")
    step_hours: fields.Integer = Field(1, ge=1, le=24, description="hours of one element of `series`, 1..24")
    agent_id: fields.AgentId | None = Field(None, description="flow of this agent, instead of a project or an epic")


class RebuildFlow(Command):
    pass


@dataclass(frozen=True, slots=True)
class FlowSumsView:
    """Numbers of a step, or of a whole range. They are null where nothing is known, before the first event."""

    created: int | None
    completed: Annotated[int | None, Field(description="tasks that became DONE")]
    cancelled: int | None
    reopened: Annotated[int | None, Field(description="tasks that left DONE or CANCELLED")]
    failed: Annotated[int | None, Field(description="leases that their holder released as failed")]
    expired: Annotated[int | None, Field(description="leases that expired")]
    submitted: int | None
    reviewed: Annotated[int | None, Field(description="verdicts: approved and changes_requested together")]
    approved: int | None
    changes_requested: int | None
    cycle_p50_seconds: Annotated[float | None, Field(description="first claim to DONE; null without any")]
    cycle_p95_seconds: float | None
    review_p50_seconds: Annotated[float | None, Field(description="time in REVIEW; null without any")]
    review_p95_seconds: float | None
    ready_p50_seconds: Annotated[float | None, Field(description="ready to its claim; null without any")]
    ready_p95_seconds: float | None
    leased_seconds: Annotated[int | None, Field(description="lengths of the leases that ended")]
    idle_seconds: Annotated[
        int | None, Field(description="time of agents between two leases, if it was at most an hour")
    ]


@dataclass(frozen=True, slots=True)
class FlowPointView(FlowSumsView):
    """A step that begins `at`, an hour by default. `complete` is false while it lasts, and until all events are in.

    `counts` are the numbers of tasks by status at its end, or at present; null for an agent.
    """

    at: str
    complete: bool
    counts: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class FlowTotalsView(FlowSumsView):
    """The numbers of the whole range. `per_hour` is the number of completed tasks per hour, from the first event on."""

    per_hour: float | None


@dataclass(frozen=True, slots=True)
class FlowView:
    """The flow of tasks in a range of hours, one element of `series` for each step. Hours begin with the hour in UTC.

    The last step can be shorter than the others.

    `known_since` is the time of the first event, or null without any. `as_of` is the time up to which all events are
    in: at most 30 seconds ago, unless events have just been many.
    """

    since: str
    until: str
    hours: int
    step_seconds: int
    known_since: str | None
    as_of: str | None
    series: list[FlowPointView]
    totals: FlowTotalsView


@dataclass(frozen=True, slots=True)
class FlowRebuiltView:
    """A rebuild that has begun. `since` is the first hour that is rebuilt, or null without any. `events` is the number
    of events to fold.
    """

    success: bool
    since: str | None
    events: int
