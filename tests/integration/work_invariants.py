"""Invariants of submissions, offers, questions, messages, pauses and reserved paths, and of their events."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable

from project_manager.domain.readiness import Withheld
from project_manager.store.transaction import Tx
from tests.stored_rows import Row, rows

REVIEW = ("verdict", "reviewer", "reviewer_kind", "body", "reviewed_at")
ANSWER = ("answer", "answered_by", "via")
TARGETS = ("to_agent", "to_task", "to_project")
FLAGS = {"task": Withheld.TASK_PAUSED, "project": Withheld.PROJECT_PAUSED, "all": Withheld.ALL_PAUSED}
ENDS_OFFER = ("task.offer_ended", "task.locked", "task.status_changed")


def check_work(tx: Tx, tasks: dict[int, Row], events: list[Row]) -> None:
    """Assert that these rows agree with one another, with the rows of their tasks, and with the events."""
    by_type: dict[str, list[Row]] = defaultdict(list)
    for row in events:
        by_type[row["type"]].append({**json.loads(row["data"]), "task_id": row["task_id"]})
    logs = {row["id"]: row for row in rows(tx, "SELECT * FROM task_logs")}
    check_logs(logs, tasks, by_type)
    submissions = {row["id"]: row for row in rows(tx, "SELECT * FROM submissions ORDER BY id")}
    check_submissions(submissions, tasks, logs)
    check_submission_events(submissions, tasks, by_type)
    questions = {row["id"]: row for row in rows(tx, "SELECT * FROM questions ORDER BY id")}
    check_questions(questions, tasks, logs)
    check_question_events(questions, tasks, by_type)
    check_offers(events, tasks, submissions, questions)
    check_messages(tx, by_type)
    check_pauses(rows(tx, "SELECT * FROM pauses"), tasks, events)
    for row in rows(tx, "SELECT * FROM path_reservations"):
        assert row["ended"] or row["fence"] == tasks[row["task_id"]]["fence"], f"reservation of {row['task_id']}"


def check_logs(logs: dict[int, Row], tasks: dict[int, Row], by_type: dict[str, list[Row]]) -> None:
    """Assert that each entry in the log of a present task that an event names is there, and that one event names it."""
    named = Counter(event["log_id"] for event in by_type["task.logged"] if event["task_id"] in tasks)
    assert named.keys() <= logs.keys()
    assert set(named.values()) <= {1}


def check_submissions(submissions: dict[int, Row], tasks: dict[int, Row], logs: dict[int, Row]) -> None:
    rounds: dict[int, list[int]] = defaultdict(list)
    for number, row in submissions.items():
        rounds[row["task_id"]].append(row["round"])
        assert row["fence"] <= tasks[row["task_id"]]["fence"], f"submission {number}"
        assert len({row[name] is None for name in REVIEW}) == 1, f"half a review of submission {number}"
        for log_id in json.loads(row["evidence"]):
            assert (logs[log_id]["task_id"], logs[log_id]["kind"]) == (row["task_id"], "evidence"), f"evidence {log_id}"
    for number, found in rounds.items():
        assert found == list(range(1, len(found) + 1)), f"rounds of task {number}"
    assert len({row["digest"] for row in submissions.values()}) == len(submissions)
    newest = {row["task_id"]: number for number, row in submissions.items()}
    for number, row in tasks.items():
        if row["submission_id"] is not None:
            assert row["submission_id"] == newest[number], f"submission of task {number}"
            assert submissions[row["submission_id"]]["verdict"] in (None, "approved"), f"submission of task {number}"
        if row["rework_id"] is not None:
            assert submissions[row["rework_id"]]["task_id"] == number
            assert submissions[row["rework_id"]]["verdict"] == "changes_requested", f"rework of task {number}"
        assert row["completed_by"] is None or row["status"] == "DONE", f"task {number} is {row['status']}"


def check_submission_events(submissions: dict[int, Row], tasks: dict[int, Row], by_type: dict[str, list[Row]]) -> None:
    """Assert that the events have each submission once, and its last review. An import inserts rows without events."""
    fields = ("task_id", "round", "author", "fence", "digest")
    submitted = _by_id(by_type["task.submitted"], "submission_id", tasks)
    found = {number: [[event[name] for name in fields] for event in each] for number, each in submitted.items()}
    rows_of = {number: [[row[name] for name in fields]] for number, row in submissions.items()}
    reviewed = _by_id(by_type["task.reviewed"], "submission_id", tasks)
    last = {number: (each[-1]["verdict"], each[-1]["reviewer"]) for number, each in reviewed.items()}
    verdicts = {number: (row["verdict"], row["reviewer"]) for number, row in submissions.items() if row["verdict"]}
    if by_type["import.finished"]:
        assert all(rows_of[number] == each for number, each in found.items())
        assert last.items() <= verdicts.items()
    else:
        assert found == rows_of
        assert last == verdicts


def check_questions(questions: dict[int, Row], tasks: dict[int, Row], logs: dict[int, Row]) -> None:
    for number, row in questions.items():
        is_answered = row["state"] == "answered"
        assert {row[name] is not None for name in ANSWER} == {is_answered}, f"half an answer of question {number}"
        assert (row["closed_at"] is None) == (row["state"] == "open"), f"question {number}"
    of_tasks = [row["task_id"] for row in questions.values() if row["state"] == "open"]
    assert sorted(of_tasks) == [number for number, row in sorted(tasks.items()) if row["blocked_by"] == "question"]
    for number, row in tasks.items():
        assert row["blocked_by"] is None or row["status"] == "BLOCKED", f"task {number} is {row['status']}"
        if row["answer_id"] is not None:
            question = questions[row["answer_id"]]
            assert (question["task_id"], question["state"]) == (number, "answered"), f"answer of task {number}"
    for kind, field in (("question", "text"), ("answer", "answer")):
        entries = {
            json.loads(row["details"])["question_id"]: (row["task_id"], row["body"])
            for row in logs.values()
            if row["kind"] == kind and "question_id" in json.loads(row["details"] or "{}")
        }
        expected = {number: (row["task_id"], row[field]) for number, row in questions.items() if row[field] is not None}
        assert entries == expected, f"log entries of kind {kind}"


def check_question_events(questions: dict[int, Row], tasks: dict[int, Row], by_type: dict[str, list[Row]]) -> None:
    states = (("asked", ("open", "answered", "closed")), ("answered", ("answered",)), ("closed", ("closed",)))
    for kind, wanted in states:
        found = _by_id(by_type[f"task.question_{kind}"], "question_id", tasks)
        assert {number: len(events) for number, events in found.items()} == {
            number: 1 for number, row in questions.items() if row["state"] in wanted
        }, f"events task.question_{kind}"


def check_offers(
    events: list[Row], tasks: dict[int, Row], submissions: dict[int, Row], questions: dict[int, Row]
) -> None:
    """Assert that offers are those of the events, and that a task is offered to its author or its asker."""
    offered: dict[int, str | None] = {}
    for row in events:
        if row["type"] == "task.offered":
            offered[row["task_id"]] = json.loads(row["data"])["agent_id"]
        elif row["type"] in ENDS_OFFER:
            offered[row["task_id"]] = None
    for number, row in tasks.items():
        agent = row["offered_to"]
        assert agent == offered.get(number), f"offer of task {number}"
        if agent is not None and row["offered_reason"] == "rework":
            assert submissions[row["rework_id"]]["author"] == agent, f"offer of task {number}"
        if agent is not None and row["offered_reason"] == "answer":
            assert questions[row["answer_id"]]["asker"] == agent, f"offer of task {number}"


def check_messages(tx: Tx, by_type: dict[str, list[Row]]) -> None:
    messages = {row["id"]: row for row in rows(tx, "SELECT * FROM messages")}
    receipts = rows(tx, "SELECT * FROM message_receipts")
    acknowledged = {(row["message_id"], row["agent_id"]) for row in receipts if row["acknowledged_at"] is not None}
    for number, row in messages.items():
        targets = sum(row[name] is not None for name in TARGETS)
        is_stop_of_task = row["kind"] == "stop" and row["to_task"] is not None
        assert targets == (2 if is_stop_of_task else 1), f"addressee of message {number}"
        if row["to_project"] is None and any(one == number for one, _ in acknowledged):
            assert (row["open"], row["attention"]) == (0, 0), f"message {number} is acknowledged"
    for row in receipts:
        assert messages[row["message_id"]]["created_at"] <= row["delivered_at"] <= row["repeated_at"]
        assert row["acknowledged_at"] is None or row["delivered_at"] <= row["acknowledged_at"]
    sent = Counter(event["message_id"] for event in by_type["message.sent"] if event["message_id"] in messages)
    assert sent == dict.fromkeys(messages, 1)
    received = {(row["message_id"], row["agent_id"]) for row in receipts}
    for kind, expected in (("delivered", received), ("acknowledged", acknowledged)):
        found = Counter(
            (event["message_id"], event["agent_id"])
            for event in by_type[f"message.{kind}"]
            if event["message_id"] in messages
        )
        assert set(found.values()) <= {1}, f"events message.{kind}"
        assert found.keys() <= expected, f"events message.{kind}"
        assert kind == "delivered" or found.keys() == expected, f"events message.{kind}"


def check_pauses(pauses: list[Row], tasks: dict[int, Row], events: list[Row]) -> None:
    """Assert that the pauses are those of the events, and that tasks have exactly their flags."""
    active: dict[int, tuple[str, bool]] = {}
    for event in events:
        data = json.loads(event["data"])
        if event["type"] == "pause.started":
            active[data["pause_id"]] = (data["scope"], data["stopped"])
        elif event["type"] == "pause.ended":
            del active[data["pause_id"]]
    assert active == {row["id"]: (row["scope"], bool(row["stopped"])) for row in pauses}
    targets = {row["target"] for row in pauses}
    stopped = {row["agent_id"] for row in pauses if row["stopped"]}
    for row in pauses:
        subject = row["agent_id"] if row["scope"] == "agent" else row.get(f"{row['scope']}_id")
        assert row["target"] == (row["scope"] if subject is None else f"{row['scope']}:{subject}")
    for number, row in tasks.items():
        subjects = {"task": f"task:{number}", "project": f"project:{row['project_id']}", "all": "all"}
        paused = sum(FLAGS[scope] for scope, target in subjects.items() if target in targets)
        assert row["archived"] & sum(FLAGS.values()) == paused, f"flags of task {number}"
        assert row["lock_holder"] is None or row["lock_holder"] not in stopped, f"task {number} of a stopped agent"


def _by_id(events: Iterable[Row], name: str, tasks: dict[int, Row]) -> dict[int, list[Row]]:
    """Return the events of present tasks by the id in this field."""
    found: dict[int, list[Row]] = defaultdict(list)
    for event in events:
        if event["task_id"] in tasks:
            found[event[name]].append(event)
    return found
