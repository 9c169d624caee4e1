import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.clock import rfc3339
from project_manager.domain.errors import FenceRequired, LockHeld, ProjectManagerError, StaleFence
from project_manager.domain.leases import Lease, check_holder, not_held_error

NOW = 1_795_428_000_000


def lease(*, fenced: bool = False, fence: int = 5) -> Lease:
    return Lease(7, "ann", fence, NOW, NOW + 1000, 1000, fenced)


def outcome(held: Lease | None, agent: str, fence: int | None) -> ProjectManagerError | None:
    try:
        check_holder(held, agent, fence, task_id=7, current_fence=5)
    except ProjectManagerError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("held", "agent", "fence", "refusal"),
    [
        (lease(), "ann", None, None),
        (lease(), "ann", 5, None),
        (lease(), "ann", 4, StaleFence),
        (lease(), "ann", 6, StaleFence),
        (lease(fenced=True), "ann", None, FenceRequired),
        (lease(fenced=True), "ann", 5, None),
        (lease(), "bob", None, LockHeld),
        (lease(), "bob", 4, StaleFence),
        (lease(), "bob", 5, LockHeld),
        (None, "ann", None, None),
        (None, "ann", 5, StaleFence),
        (None, "ann", 4, StaleFence),
    ],
)
def test_a_write_is_allowed_by_holder_and_fence(
    held: Lease | None, agent: str, fence: int | None, refusal: type[ProjectManagerError] | None
) -> None:
    refused = outcome(held, agent, fence)
    if refusal is None:
        assert refused is None
    else:
        assert type(refused) is refusal
        assert refused.message
        assert refused.hint
        assert (refused.details["task_id"], refused.details["fence"]) == (7, 5)


@given(agent=st.sampled_from(["ann", "bob"]), fence=st.none() | st.integers(1, 10), fenced=st.booleans())
def test_only_the_holder_with_the_current_fence_writes_under_a_fenced_lease(
    agent: str, fence: int | None, fenced: bool
) -> None:
    allowed = outcome(lease(fenced=fenced), agent, fence) is None
    assert allowed is (agent == "ann" and (fence == 5 or (fence is None and not fenced)))


def test_a_refusal_names_the_present_holder_and_until_when() -> None:
    with pytest.raises(LockHeld) as refusal:
        check_holder(lease(), "bob", None, task_id=7, current_fence=5)
    assert refusal.value.message == f"task 7 is locked by ann until {rfc3339(NOW + 1000)}"
    assert refusal.value.details["expires_at"] == rfc3339(NOW + 1000)


def test_using_a_lease_without_a_holder_hints_to_claim_first() -> None:
    assert "acquire_task_lock" in not_held_error(7, "ann", 5).hint
