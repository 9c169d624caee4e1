"""Database time with a wall clock that jumps, drifts or was wrong before the start."""

from dataclasses import dataclass, replace

import pytest

from project_manager.store.database_clock import (
    DOWNTIME_MS,
    JUMP_MS,
    KEEP_MS,
    SETTLE_MS,
    STEP_MS,
    ClockMark,
    DatabaseClock,
)
from tests.operations_client import MovableClock

HOUR = 3_600_000
YEARS = 10 * 365 * 24 * HOUR


@dataclass
class Stored:
    """The row of the database in which the processes store their mark."""

    mark: ClockMark


@dataclass
class Process:
    """One process on the database. Each batch reads the row, ticks, and writes the row when that is due."""

    clock: MovableClock
    row: Stored

    def __post_init__(self) -> None:
        self.time = DatabaseClock(self.clock)

    def batch(self) -> int:
        self.time.load(self.row.mark)
        now = self.time.tick()
        mark = self.time.mark_due(now)
        self.row.mark = mark or self.row.mark
        self.time.committed(now, mark)
        return now

    def batches(self, seconds: int) -> int:
        """Run a batch each second and return the last instant."""
        now = 0
        for _ in range(seconds):
            self.clock.advance(1)
            now = self.batch()
        return now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(run="this run")


@pytest.fixture
def process(clock: MovableClock) -> Process:
    made = Process(clock, Stored(ClockMark(0)))
    made.batch()
    return made


def started_again(process: Process, run: str = "this run") -> Process:
    return Process(replace(process.clock, run=run), process.row)


def test_a_new_database_begins_with_the_wall_clock(process: Process, clock: MovableClock) -> None:
    assert process.batch() == clock.now()
    assert process.time.difference() == 0


@pytest.mark.parametrize("jump", [1, JUMP_MS])
def test_the_wall_clock_is_followed_forward_at_once_up_to_an_hour(
    process: Process, clock: MovableClock, jump: int
) -> None:
    clock.wall_error = jump
    assert process.time.now() == process.batch() == clock.now()


@pytest.mark.parametrize("jump", [-1, -HOUR, -YEARS])
def test_after_a_jump_back_time_continues_at_its_pace(process: Process, clock: MovableClock, jump: int) -> None:
    before = process.batch()
    clock.wall_error = jump
    assert process.batch() == before
    assert process.batches(100) == before + 100_000
    assert process.time.difference() == -jump
    assert process.time.is_in_sync() is (-jump <= JUMP_MS)


def test_a_clock_that_was_wrong_for_a_moment_has_no_lasting_effect(process: Process, clock: MovableClock) -> None:
    before = process.batch()
    clock.wall_error = YEARS
    assert process.batches(SETTLE_MS // 1000 - 1) == before + SETTLE_MS - 1000
    assert not process.time.is_in_sync()
    clock.wall_error = 0
    process.batch()
    assert process.time.difference() == 0
    assert process.time.may_delete()
    clock.wall_error = YEARS  # counted from its own start
    process.batches(SETTLE_MS // 1000 - 1)
    assert process.time.difference() == -YEARS


def test_a_jump_that_stands_is_followed_and_deletions_wait_for_a_day(process: Process, clock: MovableClock) -> None:
    clock.wall_error = YEARS
    process.batch()
    clock.advance(SETTLE_MS / 1000)
    assert process.batch() == clock.now()
    assert process.time.is_in_sync()
    assert not process.time.may_delete()
    again = started_again(process)
    again.batch()
    assert not again.time.may_delete()
    again.clock.advance(KEEP_MS / 1000 + 1)
    again.batch()
    assert again.time.may_delete()


def test_a_wall_clock_that_drifts_behind_does_not_slow_leases_down(process: Process, clock: MovableClock) -> None:
    before = process.batch()
    for _ in range(100):
        clock.wall_error -= 200
        process.batches(1)
    assert process.batch() == before + 100_000


def test_a_wall_clock_that_drifts_ahead_is_followed(process: Process, clock: MovableClock) -> None:
    for _ in range(100):
        clock.wall_error += 200
        process.batches(1)
    assert process.batch() == clock.now()


def test_a_jump_is_noticed_across_a_restart(process: Process, clock: MovableClock) -> None:
    before = process.batch()
    clock.advance(8 * 24 * 3600)
    clock.wall_error = YEARS
    again = started_again(process)
    assert again.batch() == before + 8 * 24 * HOUR
    third = started_again(again)  # commands that end before the jump has lasted long enough pass it on
    third.clock.advance(SETTLE_MS / 1000)
    assert third.batch() == third.clock.now()


def test_downtime_of_the_machine_is_no_jump(process: Process, clock: MovableClock) -> None:
    clock.wall_error = DOWNTIME_MS - HOUR
    again = started_again(process, run="next run")
    assert again.batch() == again.clock.now()
    assert again.time.may_delete()


def test_a_machine_that_starts_with_a_clock_years_ahead_is_not_believed_at_once(
    process: Process, clock: MovableClock
) -> None:
    before = process.batch()
    clock.wall_error = YEARS
    again = started_again(process, run="next run")
    assert again.batch() == before
    again.clock.wall_error = 0
    assert again.batches(3) == again.clock.now()


def test_a_machine_that_starts_with_a_clock_years_behind_continues_from_the_mark(
    process: Process, clock: MovableClock
) -> None:
    before = process.batches(5)
    clock.wall_error = -YEARS
    again = started_again(process, run="next run")
    again.batch()
    assert again.batches(10) >= before + 10_000 - STEP_MS


def test_processes_on_one_database_agree(process: Process) -> None:
    other = started_again(process)
    process.clock.wall_error = other.clock.wall_error = -2 * HOUR
    for _ in range(10):
        assert abs(process.batches(1) - other.batches(1)) <= STEP_MS


def test_one_process_with_a_wrong_clock_does_not_move_the_others(process: Process) -> None:
    wrong = started_again(process)
    wrong.clock.wall_error = YEARS
    for _ in range(2 * SETTLE_MS // 1000):
        wrong.batches(1)
        process.batches(1)
    assert process.time.difference() == 0


def test_a_mark_of_another_process_is_never_undercut(process: Process) -> None:
    process.row.mark = ClockMark(process.clock.now() + YEARS)  # as a release without these rules stores it
    before = process.batch()
    assert before >= process.clock.now() + YEARS
    assert process.batches(10) == before + 10_000
    assert not process.time.may_delete()
    assert process.time.wall_clock_if_different() == process.clock.now()


def test_the_mark_is_written_once_a_second(process: Process, clock: MovableClock) -> None:
    now = process.batch()
    process.time.committed(now, process.time.mark_due(now))
    clock.advance((STEP_MS - 1) / 1000)
    assert process.time.mark_due(process.time.tick()) is None
    clock.advance(0.001)
    assert process.time.mark_due(process.time.tick()) is not None
