"""Base classes of commands."""

from pydantic import BaseModel, ConfigDict, Field

from project_manager.domain import limits
from project_manager.schemas import fields


class Command(BaseModel):
    """The input of one operation. Fields that it does not have are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, str_strip_whitespace=False)


class Paged(Command):
    """A list that is read page by page."""

    limit: fields.Limit = Field(limits.PAGE_DEFAULT, description="rows a page, 1..500")
    cursor: fields.Cursor | None = Field(None, description="next_cursor of the page before")


class Repeatable(Command):
    """A write that may be sent again without being done twice."""

    request_id: fields.Key | None = Field(
        None,
        description="any unique text; the same one again returns the first answer instead of doing it twice",
    )


class Leased(Repeatable):
    """A write about a task that the writer may hold."""

    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    fence: fields.Fence | None = Field(None, description="fence of your lease")


def any_means_none(value: object) -> object:
    """The predecessor's words for no filter."""
    return None if isinstance(value, str) and value.strip().upper() in {"ALL", "ANY", ""} else value


WAIT_DESCRIPTION = f"wait for one, 0..{limits.WAIT_SECONDS_MAXIMUM}; {limits.WAIT_SECONDS_ADVISED} advised"


class Scoped(Command):
    """A query about a project, an epic, or everything."""

    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = None


class Reading(Command):
    """A read with an optional agent id: the call confirms the agent's leases, and the answer warns of their ends."""

    agent_id: fields.AgentId | None = Field(None, description="your agent id")
