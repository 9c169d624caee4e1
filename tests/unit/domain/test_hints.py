from itertools import product

import pytest

from project_manager.domain.hints import suggest_field, suggest_value
from project_manager.domain.statuses import EPIC_SYNONYMS, SYNONYMS, EpicStatus, Status, is_closed, normalize
from project_manager.schemas.leases import AcquireTaskLock, ClaimNextTask
from project_manager.schemas.tasks import CreateTask, ListTasks, UpdateTask, UpdateTaskStatus
from project_manager.schemas.validation import aliases_by_field


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("open", Status.TODO),
        ("new", Status.TODO),
        ("To do", Status.TODO),
        ("icebox", Status.BACKLOG),
        ("wip", Status.IN_PROGRESS),
        ("started", Status.IN_PROGRESS),
        ("doing", Status.IN_PROGRESS),
        ("In review", Status.REVIEW),
        ("on-hold", Status.BLOCKED),
        ("closed", Status.DONE),
        ("resolved", Status.DONE),
        ("fixed", Status.DONE),
        ("finished", Status.DONE),
        ("wontfix", Status.CANCELLED),
        ("Won't fix", Status.CANCELLED),
        ("won\u2019t do", Status.CANCELLED),
        ("duplicate", Status.CANCELLED),
    ],
)
def test_the_words_of_other_trackers_are_understood(word: str, status: Status) -> None:
    assert SYNONYMS[normalize(word)] is status


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("open", EpicStatus.ACTIVE),
        ("wip", EpicStatus.ACTIVE),
        ("new", EpicStatus.PLANNED),
        ("closed", EpicStatus.COMPLETED),
    ],
)
def test_epics_take_the_same_words(word: str, status: EpicStatus) -> None:
    assert EPIC_SYNONYMS[normalize(word)] is status


@pytest.mark.parametrize(
    ("word", "status"),
    [("DOEN", Status.DONE), ("CLSOED", Status.DONE), ("BLOCEKD", Status.BLOCKED), ("IN_PROGRES", Status.IN_PROGRESS)],
)
def test_a_misspelt_status_is_guessed(word: str, status: Status) -> None:
    assert suggest_value(word, SYNONYMS, is_closed) is status


@pytest.mark.parametrize(
    "word", ["UNDONE", "UNRESOLVED", "UNFIXED", "NOT_DONE", "INCOMPLETE", "NOTDONE", "UNCLOSED", "X"]
)
def test_no_guess_maps_a_status_to_its_opposite(word: str) -> None:
    assert suggest_value(word, SYNONYMS, is_closed) is None


def test_no_misspelt_open_status_is_guessed_to_be_closed_nor_the_reverse() -> None:
    """Leave out each letter once, and double each letter once."""
    for word, status in SYNONYMS.items():
        misspellings = {
            word[:at] + word[at] * times + word[at + 1 :] for at, times in product(range(len(word)), (0, 2))
        }
        for misspelt in misspellings - SYNONYMS.keys():
            guess = suggest_value(misspelt, SYNONYMS, is_closed)
            assert guess is None or is_closed(guess) is is_closed(status), (misspelt, guess)


@pytest.mark.parametrize(
    ("command", "name", "field"),
    [
        (CreateTask, "tags", "labels"),
        (CreateTask, "labls", "labels"),
        (CreateTask, "prio", "priority"),
        (CreateTask, "assignee", "agent_id"),
        (CreateTask, "agentid", "agent_id"),
        (CreateTask, "agentId", "agent_id"),
        (CreateTask, "due_date", "due_at"),
        (CreateTask, "blocked_by", "depends_on"),
        (CreateTask, "dependecies", "depends_on"),
        (CreateTask, "ra_tag", "assumptions"),
        (ListTasks, "tags", "labels"),
        (ListTasks, "assignee", "holder"),
        (ListTasks, "lable", "label"),
        (ListTasks, "search", "q"),
        (UpdateTaskStatus, "state", "status"),
        (ClaimNextTask, "ttl", "ttl_seconds"),
    ],
)
def test_a_field_of_another_tracker_and_a_misspelt_field_get_a_suggestion(command: type, name: str, field: str) -> None:
    assert suggest_field(name, aliases_by_field(command)) == field


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (CreateTask, "owner_id"),
        (CreateTask, "sort"),
        (CreateTask, "foo"),
        (CreateTask, "task_id"),
        (ListTasks, "sort"),
        (ListTasks, "order"),
        (ListTasks, "tip"),
        (CreateTask, "x" * 100_000),
    ],
)
def test_nothing_is_proposed_where_nothing_is_near(command: type, name: str) -> None:
    assert suggest_field(name, aliases_by_field(command)) is None


def test_names_kept_for_old_clients_are_never_proposed() -> None:
    for command in (CreateTask, UpdateTask, AcquireTaskLock, ListTasks):
        for field, names in aliases_by_field(command).items():
            for name in names:
                for misspelt in (name + "s", name[:-1], name + "x"):
                    assert suggest_field(misspelt, aliases_by_field(command)) in {None, *command.model_fields}, (
                        field,
                        misspelt,
                    )
