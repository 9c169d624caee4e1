"""The rows that writes of leases return are computed, and equal to the stored rows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from project_manager.domain.actors import SYSTEM
from project_manager.services import lookup
from project_manager.store import leases
from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.tasks import COLUMNS, TaskRow
from project_manager.store.transaction import Tx
from tests.integration.test_events import everything
from tests.operations_client import OperationsClient

PLAN = "projects: [{{name: Garden, tasks: [{{name: dig, external_key: x, status: {}}}]}}]"
WRITES = ("claim", "renew", "set_status")
STORED = Statement(select(*COLUMNS).where(tasks.c.id == bindparam("task_id")))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Compare each row that a write of a lease returns with the stored row, and count the comparisons by write."""
    counted: Counter[str] = Counter()

    def comparing(name: str, write: Callable[..., TaskRow | None]) -> Callable[..., TaskRow | None]:
        def compare(tx: Tx, current: TaskRow, *args: Any, **kwargs: Any) -> TaskRow | None:
            written = write(tx, current, *args, **kwargs)
            if written is not None:
                assert described(written[: len(COLUMNS)]) == described(STORED.row(tx, task_id=current.id) or ())
                counted[name] += 1
            return written

        return compare

    for name in WRITES:
        monkeypatch.setattr(leases, name, comparing(name, getattr(leases, name)))
    return counted


def described(row: tuple[Any, ...]) -> list[tuple[str, type, Any]]:
    return [(column.name, type(value), value) for column, value in zip(COLUMNS, row, strict=True)]


async def test_every_kind_of_lease_is_returned_as_it_is_stored(compared: Counter[str], api: OperationsClient) -> None:
    first = await api.create_task("first", labels=["a", "b"])
    other = await api.create_task("other", conflicts_with=[first["id"]], depends_on=[first["id"]])
    lock = await api.claim(first["id"], "ann", ttl_seconds=60)
    await api.claim(first["id"], "ann", ttl_seconds=90)
    await api.call("renew_task_lock", task_id=first["id"], agent_id="ann", fence=lock["fence"])
    await api.claim(first["id"], "olga", force=True)
    await api.release(first["id"], "olga", failed=True)
    await api.claim_next("ann", labels=["b"])
    await api.advance(3600)
    lock = await api.claim(first["id"], "bob")
    await api.update_task(first["id"], "bob", fence=lock["fence"], depends_on=[], log_entry="half", status="REVIEW")
    await api.set_status(first["id"], "DONE", "cy")
    await api.set_status(first["id"], "IN_PROGRESS", "bob", reopen=True)
    await api.set_status(first["id"], "DONE", "bob")
    await api.set_status(other["id"], "IN_PROGRESS")
    await api.claim(other["id"], "cy")
    await api.call("import_plan", document=PLAN.format("TODO"))
    await api.call("import_plan", document=PLAN.format("DONE"), status="overwrite")
    assert all(compared[name] for name in WRITES), compared


async def test_an_unconfirmed_lease_is_returned_as_it_is_stored(compared: Counter[str], api: OperationsClient) -> None:
    task = await api.create_task()

    def claim_and_confirm(tx: Tx) -> None:
        row = lookup.task(tx, task["id"])
        leased = leases.claim(tx, row, "ann", ttl=9000, return_status="TODO", unconfirmed_ttl=1000)
        assert leased is not None
        assert leases.renew(tx, leased, ttl=9000, fenced=False) is not None

    await api.runtime.database.writer.run("claim", claim_and_confirm, SYSTEM, "")
    assert compared == {"claim": 1, "renew": 1}


async def test_every_kind_of_change_returns_the_rows_that_it_stores(
    compared: Counter[str], api: OperationsClient
) -> None:
    await everything(api)
    assert all(compared[name] for name in WRITES), compared
