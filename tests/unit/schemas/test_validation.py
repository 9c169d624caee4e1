from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project_manager.catalogue import OPERATIONS
from project_manager.domain.errors import Invalid, UnknownArgument
from project_manager.operations.definition import Operation
from project_manager.schemas import validation
from project_manager.schemas.commands import Command
from project_manager.schemas.leases import AcquireTaskLock, ClaimNextTask
from project_manager.schemas.logs import AddTaskLog
from project_manager.schemas.projects import GetProject, UpdateProject
from project_manager.schemas.reviews import ReviewTask
from project_manager.schemas.tasks import CreateTask, CreateTasks, DeleteTask, ListTasks

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@settings(max_examples=20, database=None)
@given(data=st.data())
def test_every_value_is_either_accepted_or_refused(operation: Operation, data: Any) -> None:
    names = validation.names_of(operation.command)
    raw = data.draw(st.dictionaries(st.sampled_from([*names, "else"]), anything, max_size=4))
    refusal = refused(operation, raw)
    assert refusal is None or (refusal.message and refusal.details["errors"])


def refused(operation: Operation, raw: dict[str, Any]) -> Invalid | None:
    try:
        validation.read(operation.command, raw)
    except Invalid as refusal:
        return refusal
    return None


def test_all_field_errors_of_a_request_are_in_one_refusal() -> None:
    with pytest.raises(Invalid) as refusal:
        validation.read(CreateTask, {"name": "", "priority": 9, "prioritty": 1})
    named: Any = refusal.value.details["errors"]
    assert {fault["field"] for fault in named} == {"name", "priority", "prioritty"}
    assert refusal.value.code == "invalid"


@pytest.mark.parametrize(
    ("command", "given", "message"),
    [
        (AddTaskLog, {"commit": "HEAD"}, "`commit` is not a commit id: send 7 to 64 hexadecimal digits"),
        (AddTaskLog, {"url": "javascript:alert(1)"}, "`url` is not a URL that begins with https:// or http://"),
        (AddTaskLog, {"source": "robot"}, "`source` must be 'reported', 'observed', 'ci' or 'person'"),
        (AddTaskLog, {"exit_code": 2**40}, "`exit_code` must be at most 4294967295"),
        (ReviewTask, {"digest": "abc"}, "`digest` is not a digest: send `submission.digest`"),
        (ReviewTask, {"verdict": "lgtm"}, "`verdict` must be 'approved' or 'changes_requested'"),
    ],
)
def test_an_invalid_value_is_refused_with_what_to_send(command: Any, given: dict[str, Any], message: str) -> None:
    of_review = {"verdict": "approved", "digest": "0" * 64} if command is ReviewTask else {}
    with pytest.raises(Invalid) as refusal:
        validation.read(command, {"task_id": 1, "body": "x", **of_review, **given})
    assert refusal.value.message.startswith(message)


def test_words_are_read_in_any_case_and_commits_without_white_space() -> None:
    entry = validation.read(AddTaskLog, {"task_id": 1, "body": "x", "source": "CI", "commit": "4F2D9C1\n"})
    assert (entry.source, entry.commit) == ("ci", "4f2d9c1")
    review = validation.read(ReviewTask, {"task_id": 1, "verdict": "Approved", "digest": "0" * 64})
    assert review.verdict == "approved"
    policy = validation.read(UpdateProject, {"project_id": 1, "policy": {"review": "REQUIRED", "reviewer": "Person"}})
    assert policy.policy is not None
    assert (policy.policy.review, policy.policy.reviewer) == ("required", "person")


def test_unknown_names_alone_have_their_own_error() -> None:
    with pytest.raises(UnknownArgument) as refusal:
        validation.read(CreateTask, {"name": "x", "prioritty": 1})
    assert refusal.value.message == "unknown field `prioritty`; did you mean `priority`?"


def test_an_empty_name_is_shown_as_an_unknown_name() -> None:
    with pytest.raises(UnknownArgument) as refusal:
        validation.read(DeleteTask, {"task_id": 1, "": 1})
    assert refusal.value.message == "unknown field ``"
    (named,) = cast(list[dict[str, str]], refusal.value.details["errors"])
    assert named["field"] == ""


def test_an_unknown_name_without_a_near_match_lists_the_valid_names() -> None:
    with pytest.raises(UnknownArgument) as refusal:
        validation.read(DeleteTask, {"task_id": 1, "zzz": 1})
    assert refusal.value.hint == "The fields are task_id, force, version."


@pytest.mark.parametrize("name", ["ttl_seconds", "timeout", "duration_seconds"])
def test_the_duration_of_a_lease_is_read_under_each_of_its_names(name: str) -> None:
    assert validation.read(AcquireTaskLock, {"task_id": "7", name: "60"}).ttl_seconds == 60


def test_two_names_of_one_field_at_once_are_refused() -> None:
    with pytest.raises(Invalid):
        validation.read(AcquireTaskLock, {"task_id": 7, "ttl_seconds": 60, "timeout": 90})


@pytest.mark.parametrize(
    ("given", "field"),
    [("bogus", "status"), ("todo,bogus", "status.1"), (["bogus"], "status.0"), (["todo", "bogus"], "status.1")],
)
def test_an_invalid_word_of_a_list_is_reported_by_itself_and_not_by_its_index(given: object, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        validation.read(ListTasks, {"status": given})
    assert refusal.value.message.startswith("`status` 'bogus' is not a status: use one of")
    named: Any = refusal.value.details["errors"]
    assert [fault["field"] for fault in named] == [field]


def test_an_invalid_entry_that_is_not_quoted_is_reported_by_its_index() -> None:
    with pytest.raises(Invalid) as refusal:
        validation.read(CreateTask, {"name": "x", "labels": ["a", "b" * 500]})
    assert refusal.value.message.startswith("`labels.1` has more than")


@pytest.mark.parametrize(
    ("command", "raw", "message"),
    [
        (
            AcquireTaskLock,
            {"task_id": 1, "timeout": 5, "ttl_seconds": 9},
            "`timeout` is an alias of `ttl_seconds`; send only one",
        ),
        (
            ClaimNextTask,
            {"timeout": 5, "duration_seconds": 9},
            "`duration_seconds` is an alias of `ttl_seconds`; send only one",
        ),
        (
            CreateTasks,
            {"tasks": [{"name": "x", "depends_on": [], "dependencies": []}]},
            "`tasks.0.dependencies` is an alias of `depends_on`; send only one",
        ),
    ],
)
def test_a_value_that_is_sent_under_two_names_is_refused_for_that(
    command: type[Command], raw: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        validation.read(command, raw)
    assert (refusal.value.message, refusal.value.code) == (message, "invalid")


@pytest.mark.parametrize(
    ("command", "raw", "hint"),
    [
        (
            ClaimNextTask,
            {"project_id": "Website"},
            "Send names as `project_name`; ids are listed by list_projects (GET /api/projects).",
        ),
        (
            CreateTask,
            {"name": "x", "epic_id": "Checkout"},
            "Send names as `epic_name`; ids are listed by list_epics (GET /api/epics).",
        ),
        (GetProject, {"project_id": "Website"}, "Ids are listed by list_projects (GET /api/projects)."),
    ],
)
def test_a_name_instead_of_an_id_gets_a_hint_to_the_right_field(
    command: type[Command], raw: dict[str, Any], hint: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        validation.read(command, raw)
    assert refusal.value.hint == hint
