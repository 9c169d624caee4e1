"""The claim queue compared with its definition in random situations. `scripts/prove claim_queue` compares more."""

from collections.abc import Iterator

import pytest

from project_manager.store import claim_search
from project_manager.store.transaction import Tx
from tests.integration.claim_queue_model import (
    check_claim_in_parts,
    compare_claim,
    compare_parts,
    compare_pass,
    compare_readiness,
    transaction,
)
from tests.stored_rows import Address

pytestmark = pytest.mark.slow

SITUATIONS = 300


@pytest.fixture
def tx(database: Address) -> Iterator[Tx]:
    with transaction(database) as opened:
        yield opened


@pytest.mark.promise("claim:first-come")
def test_a_pass_gives_each_waiter_of_this_process_the_task_of_its_turn(tx: Tx) -> None:
    assert sum(compare_pass(tx, seed) for seed in range(SITUATIONS)) > SITUATIONS // 2


@pytest.mark.promise("claim:first-come")
def test_a_claim_gets_the_best_task_that_is_not_reserved_for_a_waiter(tx: Tx) -> None:
    assert sum(compare_claim(tx, seed) for seed in range(SITUATIONS)) > SITUATIONS // 10


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_search, "PART", 2)
    monkeypatch.setattr(claim_search, "COMPARED_LABELS", 4)
    monkeypatch.setattr(claim_search, "COMPARED_CONFLICTS", 20)


@pytest.mark.promise("claim:first-come")
@pytest.mark.usefixtures("small_parts")
def test_a_claim_in_parts_gets_no_task_of_the_turn_of_a_waiter(tx: Tx) -> None:
    assert sum(check_claim_in_parts(tx, seed) for seed in range(SITUATIONS)) > SITUATIONS // 20


@pytest.mark.promise("claim:best-first")
@pytest.mark.usefixtures("small_parts")
def test_the_parts_of_a_search_have_all_its_tasks_in_claim_order(tx: Tx) -> None:
    assert sum(compare_parts(tx, seed) for seed in range(SITUATIONS)) > 5 * SITUATIONS


@pytest.mark.promise("ready:rules")
def test_the_readiness_of_few_and_of_many_tasks_follows_the_same_rules(tx: Tx) -> None:
    assert sum(compare_readiness(tx, seed) for seed in range(SITUATIONS)) > 2 * SITUATIONS
