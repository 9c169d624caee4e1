import logging

import pytest

from project_manager.observability.logging import ActionRecord
from project_manager.runtime import refused_tokens
from project_manager.runtime.refused_tokens import (
    ADDRESSES_REMEMBERED,
    FORGET_SECONDS,
    LOG_AGAIN_SECONDS,
    RefusedTokens,
)

ADA, BOB = "192.0.2.1", "192.0.2.2"


def refused() -> RefusedTokens:
    return RefusedTokens(lambda: None)


def delays(tokens: RefusedTokens, address: str, number: int, now: float = 100.0) -> list[float]:
    return [tokens.record(address, now) for _ in range(number)]


def test_the_delay_begins_after_three_failures_and_doubles_up_to_a_second() -> None:
    assert delays(refused(), ADA, 11) == pytest.approx([0, 0, 0, 0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1])
    assert delays(refused(), ADA, 5000)[-1] == 1


def test_the_failures_of_one_address_delay_no_other() -> None:
    tokens = refused()
    delays(tokens, ADA, 20)
    assert delays(tokens, BOB, 4) == pytest.approx([0, 0, 0, 0.05])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", ADA, True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "", True),
        ("unix:" + "x" * 200, "unix:" + "x" * 300, True),
    ],
)
def test_the_addresses_that_one_client_can_take_count_together(one: str, other: str, is_same: bool) -> None:
    tokens = refused()
    delays(tokens, one, 10)
    assert (tokens.record(other, 100.0) == 1) is is_same


def test_failures_are_forgotten_after_a_minute_without_one() -> None:
    tokens = refused()
    delays(tokens, ADA, 20)
    assert tokens.record(ADA, 100.0 + FORGET_SECONDS) == 1
    assert tokens.record(ADA, 100.1 + 2 * FORGET_SECONDS) == 0


def test_memory_is_bounded_and_the_longest_unseen_address_is_forgotten_first() -> None:
    tokens = refused()
    delays(tokens, ADA, 20)
    for number in range(ADDRESSES_REMEMBERED - 1):
        tokens.record(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 100.0)
    assert tokens.record(ADA, 100.0) == 1
    tokens.record(BOB, 100.0)
    assert tokens.record("10.0.0.0", 100.0) == 0
    assert tokens.record(ADA, 100.0) == 1
    assert len(tokens._failures) == ADDRESSES_REMEMBERED


def test_each_failure_counts_and_a_flood_leaves_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[None] = []
    tokens = RefusedTokens(lambda: counted.append(None))
    with caplog.at_level(logging.WARNING):
        delays(tokens, ADA, 1000)
        delays(tokens, ADA, 1000, 100.0 + LOG_AGAIN_SECONDS)
    lines = [record.fields for record in caplog.records if isinstance(record, ActionRecord)]
    assert [line["failures"] for line in lines] == [1, 2, 3, 4, 5, 1001]
    assert lines[-1] == {"address": ADA, "failures": 1001, "delay_milliseconds": 1000}
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert len(counted) == 2000


@pytest.mark.anyio
async def test_only_a_limited_number_of_answers_waits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_tokens, "DELAYED_AT_ONCE", 0)
    monkeypatch.setattr(refused_tokens, "FIRST_DELAY_SECONDS", 3600.0)
    monkeypatch.setattr(refused_tokens, "LONGEST_DELAY_SECONDS", 3600.0)
    tokens = refused()
    for _ in range(10):
        await tokens.record_refusal(ADA)
