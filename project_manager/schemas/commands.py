"""Base classes of commands."""

from pydantic import BaseModel, ConfigDict, Field

from project_manager.domain import limits
from project_manager.schemas import fields


class Command(BaseModel):
    """Base class of the inputs of operations. Validation rejects unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        str_strip_whitespace=False,
        defer_build=True,  # the first call of an operation builds the validator, which is a tenth of a start for all
    )


Command.model_rebuild()  # finds the plugins of pydantic in files, which must not happen on the event loop


class Paged(Command):
    """Base class of commands that return a page of a list."""

    limit: fields.Limit = Field(limits.PAGE_DEFAULT, description="rows per page, 1..500")
    cursor: fields.Cursor | None = Field(None, description="the previous next_cursor")
    total: fields.CountMode | None = Field(None, description="exact: count all rows, also if they are more than 1,000")


class IdempotentCommand(Command):
    """Base class of writes with an idempotency key, so that a repeated request takes effect once."""

    request_id: fields.Key | None = Field(
        None, description="idempotency key: a repeated request returns the first response"
    )


class Leased(IdempotentCommand):
    """Base class of writes to a task under a lease."""

    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    fence: fields.Fence | None = Field(None, description="fence of your lease")


def any_as_none(value: object) -> object:
    """Read the words of the predecessor for "no filter" (`ALL`, `ANY`, an empty text) as None."""
    return None if isinstance(value, str) and value.strip().upper() in {"ALL", "ANY", ""} else value


WAIT_DESCRIPTION = f"long poll, 0..{limits.WAIT_SECONDS_MAXIMUM}; {limits.WAIT_SECONDS_RECOMMENDED} advised"


class Scoped(Command):
    """Base class of queries about a project, an epic, or all projects."""

    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = None


class AgentRead(Command):
    """Base class of reads with an optional agent id. They confirm its leases, and list its leases that end soon."""

    agent_id: fields.AgentId | None = Field(None, description="your agent id")
