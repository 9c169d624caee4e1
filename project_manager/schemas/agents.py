"""Commands and views of agents."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from project_manager.domain.leases import LockView
from project_manager.domain.pauses import PausedView
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, Paged, Scoped
from project_manager.schemas.knowledge import KnowledgeExcerptView
from project_manager.schemas.leases import AnsweredView, RequestedChangesView
from project_manager.schemas.logs import LogView
from project_manager.schemas.tasks import LinkView, TaskView


class ListAgents(Paged):
    active: fields.Flag | None = Field(None, description="true: only agents with leases")
    seen_since: fields.Instant | None = Field(None, description="only agents seen at or after this time, RFC 3339")


class GetAgent(Command):
    agent_id: fields.AgentId


class GetContext(Scoped):
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    budget_tokens: fields.Integer = Field(2000, ge=200, le=20_000, description="response size")


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent or person, with its live leases. `waiting` is whether it waits for a ready task in the claim queue."""

    id: str
    kind: str
    first_seen: str
    last_seen: Annotated[str, Field(description="time of its last write, updated every 5 s at most")]
    locks: list[LockView]
    waiting: bool


@dataclass(frozen=True, slots=True)
class LeasedTaskView:
    """A task that the agent has leased, in full, with the newest entries of its log.

    `review` has the requested changes, and `answer` the answer to a question, as in the claim.
    """

    task: TaskView
    lock: LockView
    seconds_left: int
    logs: list[LogView]
    waiting_for_it: list[LinkView]
    review: RequestedChangesView | None
    answer: AnsweredView | None


@dataclass(frozen=True, slots=True)
class ContextView:
    """The context of an agent: its leases, the logs of their tasks, lost leases, and the next step.

    `knowledge` are the most important items of the project of the request, or of the first leased task.
    `ready_tasks` is at most 100. If more are ready, `ready_tasks_is_minimum` is true. `offered` are the tasks that
    only this agent can claim now. `paused` is the pause of the agent or of tasks that only pauses withhold, or null.
    """

    agent_id: str
    server_time: str
    holding: list[LeasedTaskView]
    knowledge: list[KnowledgeExcerptView]
    lost: list[LinkView]
    offered: list[LinkView]
    ready_tasks: int
    ready_tasks_is_minimum: bool
    next_step: str
    paused: PausedView | None
