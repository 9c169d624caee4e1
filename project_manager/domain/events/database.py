"""Events of the database itself."""

from typing import Annotated, TypedDict

from project_manager.domain.events.event import Event


class HeadFields(TypedDict):
    """The newest event of a database. `hash` is null in a database of a release without a hash chain."""

    epoch: str
    seq: int
    hash: str | None


class DatabaseRestored(Event):
    """The database was replaced by a backup, or by a standby that may lack changes. It begins a new epoch."""

    type = "database.restored"
    epoch: Annotated[str, "id of the new history of events"]
    fence_floor: Annotated[int, "new leases have fences above this number"]
    backup: HeadFields
    replaced: Annotated[HeadFields | None, "null if the replaced database is lost"]
