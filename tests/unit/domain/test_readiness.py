import pytest

from project_manager.domain.readiness import ReadinessInput, blockers, not_ready_error, readiness_blockers
from project_manager.domain.statuses import Status

NOW = 1_795_428_000_000
FREE = ReadinessInput(Status.TODO, False, 0, (), (), None, False)


def codes(readiness_input: ReadinessInput, cap: int = 5) -> list[str]:
    return [reason.code for reason in readiness_blockers(readiness_input, max_attempts=cap)]


def test_a_task_without_blockers_is_ready() -> None:
    assert codes(FREE) == []


@pytest.mark.parametrize(
    ("readiness_input", "code"),
    [
        (FREE._replace(status=Status.REVIEW), "status"),
        (FREE._replace(is_leased=True), "leased"),
        (FREE._replace(withheld=1), "archived"),
        (FREE._replace(waiting_for=(3,)), "dependencies"),
        (FREE._replace(waiting_for=(3,), cancelled=(3,)), "cancelled_dependencies"),
        (FREE._replace(deferred_until=NOW), "deferred"),
        (FREE._replace(running_conflicts=(3,)), "conflicts"),
        (FREE._replace(attempts=5), "attempts"),
    ],
)
def test_each_blocker_alone_makes_a_task_not_ready(readiness_input: ReadinessInput, code: str) -> None:
    assert codes(readiness_input) == [code]


def test_attempts_below_the_limit_are_no_blocker() -> None:
    assert codes(FREE._replace(attempts=4)) == []
    assert codes(FREE._replace(attempts=99), cap=0) == []


def test_status_and_attempts_do_not_stop_a_claim_by_name() -> None:
    readiness_input = FREE._replace(status=Status.BLOCKED, attempts=9)
    assert blockers(readiness_input) == ()


def test_a_refusal_names_every_blocker_and_the_open_dependencies() -> None:
    readiness_input = FREE._replace(waiting_for=(9, 3), running_conflicts=(4,))
    refusal = not_ready_error(7, blockers(readiness_input))
    assert refusal.details["waiting_for"] == [3, 4, 9]
    assert refusal.message == (
        "task 7 is not ready: depends on unfinished tasks #9, #3; conflicts with task #4, in progress"
    )


def test_a_long_list_of_tasks_is_cut_with_their_number() -> None:
    (reason,) = blockers(FREE._replace(waiting_for=tuple(range(1, 9))))
    assert reason.message == "depends on unfinished tasks #1, #2, #3, #4, #5 and 3 more"


def test_cancelled_dependencies_are_a_reason_apart_from_those_that_can_still_be_done() -> None:
    readiness_input = FREE._replace(waiting_for=(3, 5, 8), cancelled=(3, 8))
    why = blockers(readiness_input)
    assert [reason.message for reason in why] == [
        "depends on unfinished task #5",
        "depends on CANCELLED tasks #3, #8; remove the dependency or reopen them",
    ]
    refusal = not_ready_error(7, why)
    assert refusal.details["waiting_for"] == [3, 5, 8]
    assert refusal.details["cancelled_dependencies"] == [3, 8]
