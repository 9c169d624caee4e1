import pytest

from project_manager.domain.errors import InvalidTransition
from project_manager.domain.statuses import (
    CLAIMABLE_BY_ID,
    CLOSED,
    EPIC_SYNONYMS,
    LEASE_ENDING_STATUSES,
    SYNONYMS,
    TRANSITIONS,
    EpicStatus,
    Status,
    check_transition,
    normalize,
)

STORED = ["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"]


def test_the_words_that_are_stored_are_those_of_the_contract() -> None:
    assert [status.value for status in Status] == STORED
    assert [status.value for status in EpicStatus] == ["ACTIVE", "PLANNED", "COMPLETED", "CANCELLED"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "TODO"),
        ("completed", "DONE"),
        ("complete", "DONE"),
        ("canceled", "CANCELLED"),
        ("in progress", "IN_PROGRESS"),
    ],
)
def test_words_of_the_predecessor_mean_a_status(word: str, status: str) -> None:
    assert SYNONYMS[normalize(word)] == status


def test_every_status_is_a_word_for_itself_in_any_case() -> None:
    assert all(SYNONYMS[normalize(f" {status.lower()} ")] is status for status in Status)
    assert all(EPIC_SYNONYMS[normalize(status.lower())] is status for status in EpicStatus)


def test_the_transition_table_has_a_row_for_every_status_and_staying_is_legal() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert all(status in legal for status, legal in TRANSITIONS.items())


@pytest.mark.parametrize("current", Status)
@pytest.mark.parametrize("target", Status)
@pytest.mark.parametrize("reopen", [False, True])
def test_a_transition_is_legal_by_the_table_and_from_finished_work_only_with_reopen(
    current: Status, target: Status, reopen: bool
) -> None:
    legal = target == current or (target in TRANSITIONS[current] and (current not in CLOSED or reopen))
    if legal:
        check_transition(current, target, reopen=reopen, task_id=7)
        return
    with pytest.raises(InvalidTransition) as refusal:
        check_transition(current, target, reopen=reopen, task_id=7)
    assert f"task 7 {'cannot change' if target not in TRANSITIONS[current] else 'is'}" in refusal.value.message
    assert refusal.value.details["status"] == current
    if target not in TRANSITIONS[current]:
        assert all(status in refusal.value.hint for status in TRANSITIONS[current] - {current})
    else:
        assert "reopen=true" in refusal.value.hint


def test_a_finished_task_can_neither_be_claimed_nor_stay_claimed() -> None:
    assert CLOSED < LEASE_ENDING_STATUSES
    assert not CLOSED & CLAIMABLE_BY_ID
    assert Status.IN_PROGRESS not in LEASE_ENDING_STATUSES
