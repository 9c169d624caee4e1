"""The use case that reads the whole board in one response, for dashboards."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import orjson

from project_manager.domain.errors import ResponseTooLarge
from project_manager.domain.leases import LockView
from project_manager.domain.limits import EXCERPT_CHARACTERS
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.epics import EpicView
from project_manager.schemas.projects import ProjectView
from project_manager.services import lookup, serializers
from project_manager.store import epics, events, listing, meta, projects, tasks
from project_manager.store.transaction import Tx

CHUNK_SIZE = 500
BOARD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BoardView:
    """Every project, epic and task as of event `seq`. Follow the events after `seq` from here."""

    tasks: list[dict[str, Any]]
    epics: list[EpicView]
    projects: list[ProjectView]
    seq: int
    epoch: str


def state(tx: Tx, command: GetBoardState) -> BoardView:
    """Read every project, epic and task at once, with the number of the last event it contains.

    project_id limits the result to one project. Tasks keep the legacy fields is_locked, lock_holder and lock_expires_at
    next to `lock`. Descriptions are cut after 280 characters; the task, epic or project then has description_truncated.
    get_task, get_epic and get_project return the whole description.
    """
    filters: dict[str, Any] = {}
    if command.project_id is not None:
        lookup.project(tx, command.project_id)
        filters["project_id"] = command.project_id
    chosen = command.project_id
    return BoardView(
        tasks=list(_encoded(_cards(tx, filters))),
        epics=list(_encoded(_epics(tx, chosen))),
        projects=list(_encoded(_projects(tx, chosen))),
        seq=events.head(tx),
        epoch=meta.epoch(tx),
    )


def _encoded(items: Iterator[Any]) -> Iterator[Any]:
    """Yield the items as JSON, CHUNK_SIZE in each fragment, to save memory. Raises ResponseTooLarge."""
    size = 0
    while some := list(islice(items, CHUNK_SIZE)):
        text = orjson.dumps(some)[1:-1]
        size += len(text)
        if size > BOARD_BYTES:
            raise ResponseTooLarge(f"the board exceeds {BOARD_BYTES} bytes", limit=BOARD_BYTES)
        yield orjson.Fragment(text)


def _epics(tx: Tx, chosen: int | None) -> Iterator[Any]:
    for row in epics.list_with_excerpts(tx):
        if chosen in (None, row.project_id):
            yield _with_excerpt(serializers.epic(row))


def _projects(tx: Tx, chosen: int | None) -> Iterator[Any]:
    counts = tasks.counts_by_project(tx)
    for row in projects.list_with_excerpts(tx):
        if chosen in (None, row.id):
            yield _with_excerpt(serializers.project(row, counts.get(row.id, {})))


def _with_excerpt(view: EpicView | ProjectView) -> Any:
    return view if len(view.description) <= EXCERPT_CHARACTERS else _cut_description(asdict(view))


def _cut_description(fields: dict[str, Any]) -> dict[str, Any]:
    """Cut a long description to its beginning, mark it as truncated, and return the fields."""
    if len(fields["description"]) > EXCERPT_CHARACTERS:
        fields["description"] = fields["description"][:EXCERPT_CHARACTERS]
        fields["description_truncated"] = True
    return fields


def _cards(tx: Tx, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    after: tuple[int, ...] | None = None
    has_more = True
    while has_more:
        rows, has_more = listing.page(tx, filters, order="id", after=after, limit=CHUNK_SIZE, description="lead")
        yield from (_card(tx, row) for row in rows)
        after = (rows[-1].id,) if rows else None


def _card(tx: Tx, row: tasks.TaskRow) -> dict[str, Any]:
    card = _cut_description({**serializers.task(tx, row)})
    lock: LockView | None = card["lock"]
    card["is_locked"] = lock is not None
    card["lock_holder"] = None if lock is None else lock.holder
    card["lock_expires_at"] = None if lock is None else lock.expires_at
    card["dependencies"] = card["depends_on"]
    return card
