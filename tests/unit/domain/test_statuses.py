import pytest

from project_manager.domain.errors import InvalidTransition
from project_manager.domain.statuses import (
    CLAIMABLE_BY_NAME,
    CLOSED,
    ENDS_LEASE,
    EPIC_SYNONYMS,
    MOVES,
    SYNONYMS,
    EpicStatus,
    Status,
    check_move,
    spelled,
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
    assert SYNONYMS[spelled(word)] == status


def test_every_status_is_a_word_for_itself_in_any_case() -> None:
    assert all(SYNONYMS[spelled(f" {status.lower()} ")] is status for status in Status)
    assert all(EPIC_SYNONYMS[spelled(status.lower())] is status for status in EpicStatus)


def test_the_transition_table_has_a_row_for_every_status_and_staying_is_legal() -> None:
    assert set(MOVES) == set(Status)
    assert all(status in legal for status, legal in MOVES.items())


@pytest.mark.parametrize("current", Status)
@pytest.mark.parametrize("target", Status)
@pytest.mark.parametrize("reopen", [False, True])
def test_a_transition_is_legal_by_the_table_and_from_finished_work_only_with_reopen(
    current: Status, target: Status, reopen: bool
) -> None:
    legal = target == current or (target in MOVES[current] and (current not in CLOSED or reopen))
    if legal:
        check_move(current, target, reopen=reopen, task_id=7)
        return
    with pytest.raises(InvalidTransition) as refusal:
        check_move(current, target, reopen=reopen, task_id=7)
    assert f"task 7 {'cannot change' if target not in MOVES[current] else 'is'}" in refusal.value.message
    assert refusal.value.details["status"] == current
    if target not in MOVES[current]:
        assert all(status in refusal.value.hint for status in MOVES[current] - {current})
    else:
        assert "reopen=true" in refusal.value.hint


def test_a_finished_task_can_neither_be_claimed_nor_stay_claimed() -> None:
    assert CLOSED < ENDS_LEASE
    assert not CLOSED & CLAIMABLE_BY_NAME
    assert Status.IN_PROGRESS not in ENDS_LEASE
