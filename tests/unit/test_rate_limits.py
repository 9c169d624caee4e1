import pytest

from project_manager.domain.actors import LOCAL, Actor, Role, anonymous_agent
from project_manager.domain.service_errors import RateLimited
from project_manager.runtime.rate_limit import BURST_SECONDS, REMEMBERED, RateLimits

ANN, BOB = Actor("ann", "agent"), Actor("bob", "agent")


def calls_until_refused(limits: RateLimits, actor: Actor, now: float, caller: Actor = LOCAL) -> int:
    for number in range(1_000):
        try:
            limits.check(caller, actor, now)
        except RateLimited:
            return number
    return 1_000


def test_a_burst_of_ten_seconds_is_allowed_and_then_the_rate_per_second() -> None:
    limits = RateLimits(4)
    assert calls_until_refused(limits, ANN, 100.0) == 4 * BURST_SECONDS
    assert calls_until_refused(limits, ANN, 101.0) == 4
    assert calls_until_refused(limits, ANN, 101.125) == 0
    assert calls_until_refused(limits, ANN, 200.0) == 4 * BURST_SECONDS


def test_a_refused_call_costs_nothing() -> None:
    limits = RateLimits(4)
    calls_until_refused(limits, ANN, 100.0)
    for _ in range(100):
        with pytest.raises(RateLimited):
            limits.check(LOCAL, ANN, 100.0)
    assert calls_until_refused(limits, ANN, 101.0) == 4


def test_one_agent_does_not_use_up_the_limit_of_another() -> None:
    limits = RateLimits(1)
    calls_until_refused(limits, ANN, 100.0)
    assert calls_until_refused(limits, BOB, 100.0) == BURST_SECONDS


def test_the_refusal_names_the_agent_the_limit_and_the_retry_delay() -> None:
    limits = RateLimits(1)
    calls_until_refused(limits, ANN, 100.0)
    with pytest.raises(RateLimited) as refused:
        limits.check(LOCAL, ANN, 100.0)
    assert refused.value.details == {"agent_id": "ann", "calls_per_second": 1}
    assert refused.value.retry_after == 1
    assert "wait_seconds" in refused.value.hint


def test_naming_an_agent_that_has_its_own_token_uses_up_nothing_of_its_limit() -> None:
    limits = RateLimits(1)
    calls_until_refused(limits, ANN, 100.0, caller=Actor("mallory", "agent", Role.VIEWER))
    assert calls_until_refused(limits, ANN, 100.0, caller=ANN) == BURST_SECONDS


@pytest.mark.parametrize(
    ("limits", "actor"), [(RateLimits(0), ANN), (RateLimits(1), LOCAL), (RateLimits(1), anonymous_agent(LOCAL))]
)
def test_without_a_limit_or_without_an_agent_nothing_is_counted(limits: RateLimits, actor: Actor) -> None:
    assert calls_until_refused(limits, actor, 100.0) == 1_000


def test_inactive_agents_are_forgotten() -> None:
    limits = RateLimits(1)
    calls_until_refused(limits, ANN, 100.0)
    for number in range(2 * REMEMBERED):
        limits.check(LOCAL, Actor(f"agent-{number}", "agent"), 100.0 + number / 100)
    assert len(limits._refilled_at) < REMEMBERED
    assert calls_until_refused(limits, ANN, 100.0 + 2 * REMEMBERED / 100) == BURST_SECONDS
