"""Lease history: past leases, their ends, and the agent that last worked on a task."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import MalformedCursor
from project_manager.store import idempotency, lease_history, leases, tables, tasks
from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.claimed_task import claimed_task
from tests.integration.many_rows import NUMBERS
from tests.integration.watched_connection import WatchedConnection
from tests.operations_client import DAY_MS, Json, OperationsClient
from tests.stored_rows import execute

DAY = 24 * 3600


async def listed(api: OperationsClient, **filters: Any) -> list[Json]:
    return list((await api.call("list_leases", **filters))["items"])


@pytest.mark.promise("lease:history")
async def test_a_live_lease_is_listed_without_an_end(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    task = await api.get_task(number)
    assert await listed(api) == [
        {
            "task_id": number,
            "task_name": task["name"],
            "project_id": task["project_id"],
            "agent_id": "ann",
            "fence": lock["fence"],
            "acquired_at": lock["acquired_at"],
            "expires_at": lock["expires_at"],
            "ended_at": None,
            "reason": None,
            "status": None,
        }
    ]


ENDS: list[tuple[str, Json, str, str]] = [
    ("release_task_lock", {"agent_id": "ann"}, "explicit_release", "TODO"),
    ("release_task_lock", {"agent_id": "ann", "failed": True}, "failed", "TODO"),
    ("release_task_lock", {"force": True}, "forced", "TODO"),
    ("acquire_task_lock", {"force": True}, "forced", "IN_PROGRESS"),
    ("update_task_status", {"agent_id": "ann", "status": "DONE"}, "auto_release", "DONE"),
    ("update_task_status", {"agent_id": "ann", "status": "REVIEW"}, "auto_release", "REVIEW"),
    ("update_task_status", {"agent_id": "ann", "status": "BLOCKED"}, "auto_release", "BLOCKED"),
    ("update_task_status", {"status": "BACKLOG", "force": True}, "forced", "BACKLOG"),
    ("update_task", {"agent_id": "ann", "status": "CANCELLED"}, "auto_release", "CANCELLED"),
    ("delete_task", {"force": True}, "deleted", "IN_PROGRESS"),
]


@pytest.mark.promise("lease:history")
@pytest.mark.parametrize(("operation", "more", "reason", "status"), ENDS)
async def test_an_ended_lease_names_its_end_its_reason_and_the_status_of_the_task(
    api: OperationsClient, operation: str, more: Json, reason: str, status: str
) -> None:
    number, lock = await claimed_task(api)
    api.clock.advance(20)
    await api.call(operation, task_id=number, **more)
    (ended,) = await listed(api, agent_id="ann")
    assert (ended["ended_at"], ended["reason"], ended["status"]) == (api.clock.later(0), reason, status)
    assert (ended["task_name"], ended["fence"]) == ("Paint the fence", lock["fence"])
    assert ended["acquired_at"] == lock["acquired_at"]
    assert ended["expires_at"] >= lock["expires_at"]


@pytest.mark.promise("lease:history")
async def test_an_expired_lease_ends_at_its_expiry_with_the_reason_expired(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    (ended,) = await listed(api)
    assert (ended["task_id"], ended["ended_at"], ended["reason"]) == (number, lock["expires_at"], "lock_expired")
    assert ended["status"] == "TODO"


async def test_a_status_that_an_agent_sets_in_a_single_call_is_a_lease_that_ended_as_it_began(
    api: OperationsClient,
) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], "REVIEW", "ann")
    (ended,) = await listed(api)
    assert ended["acquired_at"] == ended["expires_at"] == ended["ended_at"] == api.clock.later(0)
    assert (ended["agent_id"], ended["fence"], ended["reason"], ended["status"]) == ("ann", 1, "auto_release", "REVIEW")
    await api.set_status(task["id"], "TODO")
    assert await listed(api) == [ended]


async def test_live_leases_come_first_then_those_that_ended_last(api: OperationsClient) -> None:
    made = [(await api.create_task(f"task {number}"))["id"] for number in range(4)]
    for number in made:
        await api.claim(number, "ann", ttl_seconds=600)
        api.clock.advance(1)
    await api.release(made[2], "ann")
    api.clock.advance(1)
    await api.release(made[0], "ann")
    order = [made[3], made[1], made[0], made[2]]
    assert [lease["task_id"] for lease in await listed(api)] == order


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_have_every_lease_once_across_the_step_from_live_ones_to_ended_ones(
    api: OperationsClient, limit: int
) -> None:
    for number in range(6):
        task = await api.create_task(f"task {number}")
        await api.claim(task["id"], "ann")
        if number % 2:
            await api.release(task["id"], "ann")
    whole = await listed(api)
    found: list[Json] = []
    more: Json = {}
    while len(found) < 10:
        page = await api.call("list_leases", limit=limit, **more)
        assert page["total"] == len(whole) == 6
        found += page["items"]
        if page["next_cursor"] is None:
            break
        more = {"cursor": page["next_cursor"]}
    assert found == whole
    await api.call_error(MalformedCursor, "list_leases", agent_id="bob", **more)


async def test_a_time_chooses_the_leases_that_were_alive_in_it(api: OperationsClient) -> None:
    early, late, live = [(await api.create_task(name))["id"] for name in ("early", "late", "live")]
    await api.claim(live, "bob", ttl_seconds=3600)
    await api.claim(early, "ann")
    api.clock.advance(10)
    await api.release(early, "ann")
    api.clock.advance(10)
    await api.claim(late, "ann")
    api.clock.advance(10)
    await api.release(late, "ann")
    at = api.clock.later

    async def chosen(**filters: Any) -> set[str]:
        return {lease["task_name"] for lease in await listed(api, **filters)}

    assert await chosen(since=at(-20)) == {"early", "late", "live"}
    assert await chosen(since=at(-19.999)) == {"late", "live"}
    assert await chosen(since=at(0.001)) == {"live"}
    assert await chosen(until=at(-10)) == {"early", "live"}
    assert await chosen(until=at(-30)) == set()
    assert await chosen(since=at(-5), until=at(-1), agent_id="ann") == {"late"}
    assert await chosen(agent_id="bob") == {"live"}


async def test_the_route_accepts_the_filters_and_refuses_others(service: HttpService, api: OperationsClient) -> None:
    await claimed_task(api)
    page = await service.ok("GET", f"/api/leases?agent_id=ann&since={api.clock.later(-60)}&limit=5")
    assert [lease["agent_id"] for lease in page["items"]] == ["ann"]
    refused = await service.error(422, "GET", "/api/leases?holder=ann")
    assert refused["code"] == "unknown_argument"


async def test_a_new_name_of_the_task_shows_and_the_last_one_outlives_it(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann")
    await api.update_task(number, name="Paint the gate")
    assert (await listed(api))[0]["task_name"] == "Paint the gate"


async def test_ended_leases_are_forgotten_with_the_events_of_their_time(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann")

    async def forget() -> None:
        await api.runtime.database.writer.run(
            "forget", lambda tx: lease_history.delete_older(tx, tx.now - DAY_MS), api.actor, ""
        )

    api.clock.advance(DAY)
    await forget()
    assert len(await listed(api)) == 1
    api.clock.advance(0.001)
    await forget()
    assert await listed(api) == []


async def write_ended_leases(api: OperationsClient, number: int) -> None:
    """Insert leases of one task that ended now, with the fences 1 .. number."""
    await api.create_task()
    row = "SELECT 1, i, 'ann', 1, 'task', ?3, ?3, ?3, 'auto_release', 'DONE' FROM n"
    sql = f"{NUMBERS} INSERT INTO ended_leases {row}"
    now = api.clock.now()
    await api.runtime.database.writer.run("fill", lambda tx: execute(tx, sql, 1, number, now), api.actor, "")


@pytest.mark.usefixtures("without_background_jobs")
async def test_ended_leases_and_answers_are_forgotten_some_hundred_at_once(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_ended_leases(api, 5000)
    sql = f"{NUMBERS} INSERT INTO answers SELECT 'ann', 'key' || i, 'hash', '{{}}', ?3 FROM n"
    now = api.clock.now()
    await api.runtime.database.writer.run("fill", lambda tx: execute(tx, sql, 1, 3000, now), api.actor, "")
    removed: list[int] = []

    def watch(module: Any) -> None:
        delete = module.delete_older

        def watched(tx: Tx, before: int) -> int:
            removed.append(delete(tx, before))
            return removed[-1]

        monkeypatch.setattr(module, "delete_older", watched)

    watch(lease_history)
    watch(idempotency)
    await api.advance(90 * DAY + 1)
    assert await api.runtime.jobs.run_once("retention")
    assert (sum(removed), max(removed)) == (8000, 500)
    assert await listed(api) == []


async def test_each_page_of_leases_has_the_number_of_all(api: OperationsClient) -> None:
    await write_ended_leases(api, 30)
    cursor: str | None = None
    totals: list[tuple[int, int]] = []
    while cursor is not None or not totals:
        found = await api.call("list_leases", limit=10, **({"cursor": cursor} if cursor else {}))
        totals.append((len(found["items"]), found["total"]))
        cursor = found["next_cursor"]
    assert totals == [(10, 30)] * 3


# the agent of the newest lease


@pytest.mark.promise("lease:history")
async def test_a_task_names_the_agent_of_its_newest_lease_in_every_row(api: OperationsClient) -> None:
    task = await api.create_task()
    assert task["worked_by"] is None
    await api.claim(task["id"], "ann")
    await api.release(task["id"], "ann")
    await api.claim(task["id"], "bob")
    await api.set_status(task["id"], "REVIEW", "bob")
    await api.set_status(task["id"], "DONE")
    compact = await api.call("list_tasks", fields=["compact"])
    board = await api.call("get_board_state")
    details = await api.call("get_task_details", task_id=task["id"])
    seen = [await api.get_task(task["id"]), *compact["items"], *board["tasks"], details["task"]]
    assert [row["worked_by"] for row in seen] == ["bob"] * 4


async def test_an_agent_that_sets_a_status_in_a_single_call_worked_on_the_task_and_a_person_did_not(
    api: OperationsClient,
) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], "REVIEW", "ann")
    assert (await api.get_task(task["id"]))["worked_by"] == "ann"
    await api.set_status(task["id"], "TODO")
    assert (await api.get_task(task["id"]))["worked_by"] == "ann"


async def test_a_task_counts_the_length_of_its_leases_for_work(api: OperationsClient) -> None:
    number = (await api.create_task())["id"]

    async def worked() -> int:
        rows = [*(await api.call("get_board_state"))["tasks"], await api.get_task(number)]
        (seconds,) = {row["worked_seconds"] for row in rows}
        return int(seconds)

    await api.claim(number, "ann", ttl_seconds=60)
    await api.advance(1000)  # the service was down for most of it
    assert await worked() == 60
    await api.claim(number, "bob")
    await api.advance(90.6)
    assert await worked() == 60
    await api.call("acquire_task_lock", task_id=number, agent_id="cid", force=True)
    await api.advance(30)
    await api.release(number, "cid")
    assert await worked() == 60 + 91 + 30
    await api.claim(number, "ann")
    await api.advance(5)
    await api.set_status(number, "REVIEW", "ann")
    await api.claim_next("bob", kind="review")
    await api.advance(40)
    await api.release(number, "bob")
    await api.set_status(number, "DONE")
    assert await worked() == 60 + 91 + 30 + 5


async def test_the_time_of_work_is_the_same_in_python_and_in_sql(api: OperationsClient) -> None:
    """A new epoch ends all leases with one statement, and all other ends of leases compute it from the row."""
    leased = "status = 'IN_PROGRESS', lock_holder = 'ann', lock_from = 'TODO', lock_ttl = 1, fence = 5"
    expected = {
        "fence = 5": 0,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 90000": 10,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 10499": 9,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 10500": 10,
        f"{leased}, lock_acquired_at = 11000, lock_expires_at = 90000": 0,
        f"{leased}, lock_acquired_at = 20000, lock_expires_at = 90000": 0,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 90000, lock_kind = 'review'": 0,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 90000, unconfirmed_fence = 5": 0,
        f"{leased}, lock_acquired_at = 1000, lock_expires_at = 90000, unconfirmed_fence = 4": 10,
    }
    numbers = [(await api.create_task())["id"] for _ in expected]

    def compute(tx: Tx) -> list[tuple[int, int]]:
        for number, values in zip(numbers, expected, strict=True):
            execute(tx, f"UPDATE tasks SET {values} WHERE id = ?", number)
        rows = sorted(tasks.get_all(tx, numbers), key=lambda row: row.id)
        statement = Statement(select(leases.WORKED_SECONDS).order_by(tables.tasks.c.id))
        in_sql = [seconds for (seconds,) in statement.rows(tx, now=11_000)]
        in_python = [leases.worked_seconds(row, 11_000) for row in rows]
        execute(
            tx,
            "UPDATE tasks SET status = 'TODO', lock_holder = NULL, lock_from = NULL, lock_ttl = NULL, "
            "lock_acquired_at = NULL, lock_expires_at = NULL, lock_kind = NULL",
        )
        return list(zip(in_python, in_sql, strict=True))

    computed = await api.runtime.database.writer.run("test", compute, SYSTEM, "")
    assert computed == [(seconds, seconds) for seconds in expected.values()]


# cost, and databases of earlier releases


def explained(work: Callable[[Tx], object]) -> Callable[[Tx], list[str]]:
    def plan_of(tx: Tx) -> list[str]:
        plan: list[str] = []

        def execute(sql: str, values: Any) -> Any:
            plan.extend(row[3] for row in tx.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
            return tx.connection.execute(sql, values)

        work(replace(tx, connection=WatchedConnection(tx.connection, execute)))
        return plan

    return plan_of


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "ix_ended_leases_ended_at"),
        ({"since": 1}, "ix_ended_leases_ended_at"),
        ({"agent_id": "ann", "since": 1}, "ix_ended_leases_agent_id_ended_at"),
    ],
)
async def test_a_page_of_ended_leases_is_read_from_an_index_without_sorting(
    api: OperationsClient, filters: Json, index: str
) -> None:
    work = explained(lambda tx: lease_history.page_of_ended(tx, filters, (9, 9, 9), 10))
    plan = await api.runtime.read("plan", work)
    assert any(index in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan


@pytest.mark.sqlite_only
async def test_the_newest_lease_of_an_agent_on_a_task_is_found_among_those_of_the_task(api: OperationsClient) -> None:
    plan = await api.runtime.read("plan", explained(lambda tx: lease_history.newest_of(tx, 1, "ann")))
    assert any("PRIMARY KEY (task_id=?" in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan
