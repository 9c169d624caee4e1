"""Tasks read as arrays, for lists and the board: they equal tasks read one by one, with few rows of SQLite."""

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, select

from project_manager.domain.actors import LOCAL
from project_manager.schemas import validation
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.tasks import TASK_FIELD_NAMES, GetAvailableTasks, ListTasks
from project_manager.services import board, listing
from project_manager.store import tasks
from project_manager.store.sqlite import driver
from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx
from tests.integration.watched_connection import WatchedConnection
from tests.operations_client import Json, OperationsClient

LEGACY = ("is_locked", "lock_holder", "lock_expires_at", "dependencies")
LINE = 'A "quoted" \\ line / with ümlauts and \N{ROCKET}.'
TEXT = f"{LINE}\n\tSecond line.\n"


@pytest.fixture
def settings() -> dict[str, object]:
    return {"MAX_ATTEMPTS": 2}


async def everything(api: OperationsClient) -> None:
    """Create tasks in each state that a field shows."""
    await api.create_task("plain")
    await api.create_task(LINE, description=TEXT, labels=["ü", "b"], acceptance=[LINE, "two"], external_key="key")
    await api.create_task("dated", due_at=api.clock.later(60), estimate_minutes=5, epic_name="Epic")
    await api.create_task("deferred", defer_until=api.clock.later(600))
    await api.create_task("waiting", depends_on=[1, 2, 3])
    await api.create_task("conflicting", conflicts_with=[1, 3])
    await api.create_task("cancelled")
    await api.set_status(7, "CANCELLED")
    await api.create_task("waiting for a cancelled one", depends_on=[7, 1], conflicts_with=[2])
    await api.claim(1, "ann", ttl_seconds=600)
    for _ in range(2):
        await api.claim(2, "bob", ttl_seconds=60)
        await api.release(2, "bob", failed=True)
    await api.claim(3, "cem", ttl_seconds=60)
    await api.set_status(3, "DONE", "cem")
    await api.create_task("in an archived project", project_name="Attic")
    await api.call("update_project", project_id=2, archived=True)
    more = [{"name": f"task {number}", "priority": number % 5} for number in range(150)]
    await api.call("create_tasks", project_name="House", tasks=more)


async def one_by_one(api: OperationsClient, ids: list[int]) -> list[Json]:
    return [await api.get_task(task_id) for task_id in ids]


@pytest.mark.parametrize("filters", [{}, {"status": ["TODO"], "project_name": "Garden"}, {"ids": [1, 5, 8, 100, 150]}])
async def test_a_task_of_a_list_equals_the_task_itself(api: OperationsClient, filters: Json) -> None:
    await everything(api)
    page = await api.call("list_tasks", limit=100, **filters)
    while True:
        assert page["items"] == await one_by_one(api, [task["id"] for task in page["items"]])
        assert [list(task) for task in page["items"]] == [list(TASK_FIELD_NAMES)] * len(page["items"])
        if page["next_cursor"] is None:
            break
        page = await api.call("list_tasks", limit=100, **filters, cursor=page["next_cursor"])


async def test_columns_of_a_list_equal_the_fields_of_the_task(api: OperationsClient) -> None:
    await everything(api)
    columns = [name for name in TASK_FIELD_NAMES if name != "description"]
    for names in (columns, ["why_not_ready", "lock"], ["ready", "id"], ["depends_on", "description"]):
        page = await api.call("list_tasks", limit=10, fields=names)
        whole = await one_by_one(api, list(range(1, 11)))
        assert page["items"] == [{name: task[name] for name in names} for task in whole]


async def test_a_card_of_the_board_equals_the_task(api: OperationsClient) -> None:
    await everything(api)
    for card in (await api.call("get_board_state"))["tasks"]:
        task = await api.get_task(card["id"])
        lock = task["lock"]
        legacy = [lock is not None, lock and lock["holder"], lock and lock["expires_at"], task["depends_on"]]
        assert card == {**task, **dict(zip(LEGACY, legacy, strict=True))}


async def test_the_board_of_a_project_has_its_cards_of_the_whole_board(api: OperationsClient) -> None:
    await everything(api)
    await api.update_task(100, depends_on=[1, 7], conflicts_with=[3])
    cards = (await api.call("get_board_state"))["tasks"]
    for project_id in (1, 2, 3):
        board_of_project = await api.call("get_board_state", project_id=project_id)
        assert board_of_project["tasks"] == [card for card in cards if card["project_id"] == project_id] != []


async def test_a_task_read_as_an_array_equals_one_read_by_column(api: OperationsClient) -> None:
    await everything(api)
    by_column = Statement(
        select(*tasks.COLUMNS, *tasks.links(), tasks.POLICY).where(tasks.COLUMNS[0] == bindparam("task_id"))
    )

    def read(tx: Tx, task_id: int) -> tuple[Any, Any]:
        return tasks.get(tx, task_id), by_column.row(tx, task_id=task_id, now=tx.now)

    for task_id in range(1, 12):
        as_array, row = await api.runtime.read("task", partial(read, task_id=task_id))
        assert as_array == row
        assert [*map(type, as_array)] == [*map(type, row)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_is_the_same_in_an_array_and_in_a_column(text: str) -> None:
    with closing(driver.connect(":memory:")) as connection:
        (array,) = connection.execute("SELECT json_array(?)", [text]).fetchone()
    assert orjson.loads(array) == [text]


# the kept chunks of the board


Change = Callable[[OperationsClient], Awaitable[Any]]
CHANGES: dict[str, Change] = {
    "an edit": lambda api: api.update_task(5, priority=0),
    "a claim": lambda api: api.claim(100, "eve"),
    "a renewal, which has no event": lambda api: renews(api),
    "the end of a lease, before it is noted": lambda api: passes(api, 700),
    "the end of a deferral": lambda api: api.advance(601),
    "a dependency that is done, of a task that still waits": lambda api: api.set_status(1, "DONE", "ann"),
    "a dependency that is reopened": lambda api: api.set_status(3, "TODO", reopen=True),
    "a deleted dependency": lambda api: loses_dependency(api),
    "a conflict of another task": lambda api: api.update_task(150, conflicts_with=[5]),
    "an archived project": lambda api: api.call("update_project", project_id=3, archived=True),
    "a renamed project": lambda api: api.call("update_project", project_id=3, name="Home"),
    "a new task": lambda api: api.create_task("new"),
    "the last task of a chunk": lambda api: api.call("delete_task", task_id=150),
}


async def passes(api: OperationsClient, seconds: float) -> None:
    api.clock.advance(seconds)


async def renews(api: OperationsClient) -> None:
    await passes(api, 1)
    await api.call("renew_task_lock", task_id=1, agent_id="ann")


async def loses_dependency(api: OperationsClient) -> None:
    await api.set_status(8, "CANCELLED")
    await api.call("delete_task", task_id=7)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_board_from_kept_chunks_equals_a_new_one_after(api: OperationsClient, change: str) -> None:
    await everything(api)
    kept = board.EncodedBoard()

    def build(tx: Tx) -> list[bytes]:
        return [orjson.dumps(board.state(tx, GetBoardState(), last)) for last in (kept, None)]

    before, _ = await api.runtime.read("board", build)
    await CHANGES[change](api)
    after, new = await api.runtime.read("board", build)
    assert after == new != before


async def test_only_the_chunks_with_a_change_are_encoded_again(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many"}] * 100)
    await api.call("get_board_state")
    encoded: list[int] = []
    card = board._card

    def counted(task: dict[str, Any]) -> dict[str, Any]:
        encoded.append(task["id"])
        return card(task)

    monkeypatch.setattr(board, "_card", counted)
    await api.update_task(555, priority=0)
    cards = (await api.call("get_board_state"))["tasks"]
    assert [task["priority"] for task in cards if task["id"] == 555] == [0]
    assert encoded == list(range(500, 600))


# the work of the driver


class Counted:
    """A connection that counts statements and the rows that the driver converts."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements = 0
        self.rows = 0

    def execute(self, sql: str, values: Any = ()) -> Any:
        self.statements += 1
        rows = self._connection.execute(sql, values).fetchall()
        self.rows += len(rows)
        return Rows(rows)


class Rows:
    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows

    def __iter__(self) -> Any:
        return iter(self._rows)


async def counted(api: OperationsClient, work: Callable[[Tx], Any]) -> Counted:
    found: list[Counted] = []

    def count(tx: Tx) -> None:
        found.append(Counted(tx.connection))
        work(replace(tx, connection=WatchedConnection(tx.connection, found[0].execute)))

    await api.runtime.read("counted", count, LOCAL)
    return found[0]


async def test_a_page_takes_three_statements_with_a_row_each(api: OperationsClient) -> None:
    await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many"}] * 100)
    found = await counted(api, lambda tx: listing.list_tasks(tx, validation.read(ListTasks, {"limit": 50})))
    assert (found.statements, found.rows) == (3, 3)


async def test_a_long_page_of_short_rows_takes_one_statement_more_for_its_ids(api: OperationsClient) -> None:
    for _ in range(2):
        await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many", "status": "DONE"}] * 300)
    command = validation.read(GetAvailableTasks, {"limit": 500, "status": ["DONE"]})
    found = await counted(api, lambda tx: listing.get_available(tx, command))
    assert (found.statements, found.rows) == (4, 4)


async def test_a_board_takes_three_statements_for_each_hundred_tasks(api: OperationsClient) -> None:
    for _ in range(4):
        await api.call("create_tasks", project_name="Garden", tasks=[{"name": "one of many"}] * 500)
    found = await counted(api, lambda tx: board.state(tx, GetBoardState()))
    assert found.statements < 3 * 21 + 10
    assert found.rows < 3 * 21 + 10
