"""The use case that reads the whole board in one response, for dashboards."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from project_manager.domain.errors import ResponseTooLarge
from project_manager.domain.leases import LockView
from project_manager.domain.limits import EXCERPT_CHARACTERS
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.epics import EpicView
from project_manager.schemas.projects import ProjectView
from project_manager.schemas.tasks import TASK_FIELD_NAMES
from project_manager.services import lookup, serializers
from project_manager.store import epics, events, meta, projects, task_counts, task_rows
from project_manager.store.task_rows import Chunk
from project_manager.store.transaction import Tx

CHUNK_IDS = 100
"""Number of ids in a chunk of all projects. The tasks of a chunk are read, encoded and remembered together."""
MOST_CHUNK_IDS = 32 * CHUNK_IDS
"""Maximum number of ids in a chunk of one project. `_chunk_ids` computes the number."""
BOARD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BoardView:
    """Every project, epic and task as of event `seq`. Follow the events after `seq` from here."""

    tasks: list[dict[str, Any]]
    epics: list[EpicView]
    projects: list[ProjectView]
    seq: int
    epoch: str


class EncodedChunk(NamedTuple):
    """The cards of a chunk as JSON, and the digest of the rows they were made from."""

    digest: bytes
    cards: bytes


@dataclass(slots=True)
class EncodedBoard:
    """The chunks of the last board by number. The next board encodes only those with other rows."""

    chunks: dict[int, EncodedChunk] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the bytes of all chunks."""
        return sum(len(chunk.cards) for chunk in self.chunks.values())


def state(tx: Tx, command: GetBoardState, last: EncodedBoard | None = None) -> BoardView:
    """Read every project, epic and task at once, with the number of the last event it contains.

    project_id limits the result to one project. Tasks keep the legacy fields is_locked, lock_holder and lock_expires_at
    next to `lock`. Descriptions are cut after 280 characters; the task, epic or project then has description_truncated.
    get_task, get_epic and get_project return the whole description.
    """
    chosen = command.project_id
    if chosen is not None:
        lookup.project(tx, chosen)
    return BoardView(
        tasks=list(_limited(_cards(tx, chosen, last or EncodedBoard()))),
        epics=list(_limited(_encoded(_epics(tx, chosen)))),
        projects=list(_limited(_encoded(_projects(tx, chosen)))),
        seq=events.head(tx),
        epoch=meta.epoch(tx),
    )


def _encoded(items: Iterator[Any]) -> Iterator[bytes]:
    return (orjson.dumps(item) for item in items)


def _limited(parts: Iterator[bytes]) -> Iterator[Any]:
    """Yield the parts for the encoder. Raises ResponseTooLarge."""
    size = 0
    for part in parts:
        size += len(part)
        if size > BOARD_BYTES:
            raise ResponseTooLarge(f"the board exceeds {BOARD_BYTES} bytes", limit=BOARD_BYTES)
        yield orjson.Fragment(part)


def _epics(tx: Tx, chosen: int | None) -> Iterator[Any]:
    for row in epics.list_with_excerpts(tx):
        if chosen in (None, row.project_id):
            yield _with_excerpt(serializers.epic(row))


def _projects(tx: Tx, chosen: int | None) -> Iterator[Any]:
    rows = [row for row in projects.list_with_excerpts(tx) if chosen in (None, row.id)]
    counts = task_counts.counts_by_project(tx, [row.id for row in rows])
    for row in rows:
        yield _with_excerpt(serializers.project(row, counts[row.id]))


def _with_excerpt(view: EpicView | ProjectView) -> Any:
    return view if len(view.description) <= EXCERPT_CHARACTERS else _cut_description(asdict(view))


def _cut_description(fields: dict[str, Any]) -> dict[str, Any]:
    """Cut a long description to its beginning, mark it as truncated, and return the fields."""
    if len(fields["description"]) > EXCERPT_CHARACTERS:
        fields["description"] = fields["description"][:EXCERPT_CHARACTERS]
        fields["description_truncated"] = True
    return fields


def _cards(tx: Tx, project_id: int | None, last: EncodedBoard) -> Iterator[bytes]:
    """Yield the cards of each chunk, joined by commas, and remember them in `last`."""
    chunks: dict[int, EncodedChunk] = {}
    size = CHUNK_IDS if project_id is None else _chunk_ids(*task_rows.spread(tx, project_id))
    first = task_rows.first_id(tx, 0)
    while first is not None:
        number = first // size
        following = (number + 1) * size
        chunk = task_rows.chunk(tx, first, following - 1, TASK_FIELD_NAMES, project_id)
        chunks[number] = _encode(tx, chunk, last.chunks.get(number))
        if chunks[number].cards:
            yield chunks[number].cards
        first = task_rows.first_id(tx, following)
    last.chunks = chunks  # replaced as a whole, because another thread may be reading it


def _chunk_ids(ids: int, rows: int) -> int:
    """Return the number of ids in a chunk of a project with `rows` tasks, and `ids` ids from the first to the last one.

    The tasks of a project can be rare among those of the others. A chunk has up to about CHUNK_IDS of them. Its size is
    doubled, so that it seldom changes when tasks are added.
    """
    size = CHUNK_IDS
    while size < MOST_CHUNK_IDS and 2 * size * rows <= CHUNK_IDS * ids:
        size *= 2
    return size


def _encode(tx: Tx, chunk: Chunk, last: EncodedChunk | None) -> EncodedChunk:
    """Return the cards of the chunk, from `last` if its rows were the same."""
    digest = blake2b("\n".join(map(str, chunk)).encode(), digest_size=16).digest()
    if last is not None and last.digest == digest:
        return last
    rows, links = chunk.parse()
    cards = [_card(task) for task in serializers.tasks(tx, TASK_FIELD_NAMES, rows, links)]
    return EncodedChunk(digest, orjson.dumps(cards)[1:-1])


def _card(task: dict[str, Any]) -> dict[str, Any]:
    card = _cut_description(task)
    lock: LockView | None = card["lock"]
    card["is_locked"] = lock is not None
    card["lock_holder"] = None if lock is None else lock.holder
    card["lock_expires_at"] = None if lock is None else lock.expires_at
    card["dependencies"] = card["depends_on"]
    return card
