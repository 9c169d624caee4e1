"""Questions of agents: asked, answered, and brought back to the asker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    Invalid,
    LockHeld,
    LockRequired,
    NotHeld,
    NotReady,
    OwnQuestion,
    QuestionClosed,
    QuestionNotFound,
    QuestionOpen,
    StaleFence,
)
from project_manager.services import stats
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

PERSON = Actor("olga", "human", Role.OPERATOR, token_id=7)
TEXT = "Which colour?"


async def ask(api: OperationsClient, task_id: int, agent: str = "ann", **more: Any) -> Json:
    """Claim the task, ask about it, and return the question."""
    fence = (await api.claim(task_id, agent))["fence"]
    given = {"text": TEXT, "options": ["green", "red"], "fence": fence, "agent_id": agent, **more}
    asked: Json = await api.call("ask", task_id=task_id, **given)
    return asked


async def answer(api: OperationsClient, asked: Json, text: str = "green", **more: Any) -> Json:
    ids = {"task_id": asked["task_id"], "question_id": asked["question"]["id"]}
    answered: Json = await api.call("answer_question", **ids, text=text, **more)
    return answered


async def test_a_question_blocks_the_task_and_ends_the_lease(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    assert (asked["status"], asked["lock_released"]) == ("BLOCKED", True)
    blocked = await api.get_task(task["id"])
    assert (blocked["status"], blocked["blocked_by"], blocked["lock"]) == ("BLOCKED", "question", None)
    (waiting,) = (await api.call("list_questions", state="open"))["items"]
    assert (waiting["text"], waiting["options"], waiting["asker"]) == (TEXT, ["green", "red"], "ann")
    assert [entry["kind"] for entry in await api.logs(task["id"])] == ["question"]
    check(api)


async def test_the_answer_comes_with_the_next_claim_of_the_asker(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    answered = await answer(api.acting_as(PERSON), asked, "red")
    assert (answered["status"], answered["question"]["via"]) == ("TODO", "person")
    offered = (await api.get_task(task["id"]))["offered_to"]
    assert (offered["agent"], offered["reason"]) == ("ann", "answer")
    assert (await api.claim_next("bob"))["task"] is None
    claimed = await api.claim_next("ann")
    assert claimed["answer"] == {"question": TEXT, "answer": "red", "answered_by": "olga", "via": "person"}
    check(api)


async def test_the_answer_stays_with_the_task_until_its_work_is_done(api: OperationsClient) -> None:
    task = await api.create_task()
    await answer(api, await ask(api, task["id"]))
    await api.claim_next("ann")
    await api.release(task["id"], "ann")
    claimed = await api.claim_next("bob")
    assert claimed["answer"]["answer"] == "green"
    await api.set_status(task["id"], "DONE", "bob")
    await api.set_status(task["id"], "TODO", reopen=True)
    assert (await api.claim_next("bob"))["answer"] is None
    check(api)


async def test_only_the_first_answer_counts(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    await answer(api.acting_as(PERSON), asked)
    ids = {"task_id": task["id"], "question_id": asked["question"]["id"]}
    refusal = await api.call_error(QuestionClosed, "answer_question", **ids, text="red")
    assert "answered by olga" in refusal.message


async def test_the_asker_cannot_answer_its_own_question(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    ids = {"task_id": task["id"], "question_id": asked["question"]["id"]}
    for name in ("ann", "Ann"):
        await api.call_error(OwnQuestion, "answer_question", **ids, text="red", agent_id=name)


async def test_a_person_answers_a_question_that_a_call_without_an_agent_id_asked(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await api.call("ask", task_id=task["id"], text="Which paint?")
    assert (await answer(api, asked))["status"] == "TODO"


async def test_an_answer_of_an_agent_or_without_a_token_is_not_that_of_a_person(api: OperationsClient) -> None:
    first, second = await api.create_task("one"), await api.create_task("two")
    assert (await answer(api, await ask(api, first["id"]), agent_id="bob"))["question"]["via"] == "agent"
    assert (await answer(api, await ask(api, second["id"])))["question"]["via"] == "unknown"


@pytest.mark.parametrize("way", ["TODO", "CANCELLED", "claim"])
async def test_a_question_is_closed_when_its_task_moves_on(api: OperationsClient, way: str) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    since = await api.last_seq()
    if way == "claim":
        await api.claim(task["id"], "bob")
    else:
        await api.set_status(task["id"], way)
    assert "task.question_closed" in [event["type"] for event in await api.events(since)]
    ids = {"task_id": task["id"], "question_id": asked["question"]["id"]}
    refusal = await api.call_error(QuestionClosed, "answer_question", **ids, text="red")
    assert "its task moved on" in refusal.message
    check(api)


async def test_a_task_has_one_open_question(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    refusal = await api.call_error(QuestionOpen, "ask", task_id=task["id"], text="And?", agent_id="bob")
    assert refusal.details["question_id"] == asked["question"]["id"]
    await answer(api, asked)
    assert (await ask(api, task["id"]))["question"]["id"] == asked["question"]["id"] + 1


async def test_an_agent_without_the_lease_cannot_unblock_the_task(api: OperationsClient) -> None:
    task = await api.create_task()
    await ask(api, task["id"])
    refusal = await api.call_error(
        LockRequired, "update_task_status", task_id=task["id"], status="DONE", agent_id="bob"
    )
    assert "acquire_task_lock" in refusal.hint


async def test_only_the_holder_asks_about_a_leased_task(api: OperationsClient) -> None:
    task = await api.create_task()
    fence = (await api.claim(task["id"], "ann"))["fence"]
    await api.call_error(LockHeld, "ask", task_id=task["id"], text=TEXT, agent_id="bob")
    await api.call_error(StaleFence, "ask", task_id=task["id"], text=TEXT, agent_id="ann", fence=fence + 1)
    assert await api.logs(task["id"]) == []


async def test_an_answer_of_the_client_keeps_the_lease(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"], client_answer="red")
    assert (asked["status"], asked["lock_released"], asked["question"]["via"]) == ("IN_PROGRESS", False, "client")
    assert asked["question"]["answered_by"] == "ann"
    await api.call_error(
        NotHeld, "ask", task_id=(await api.create_task())["id"], text="?", agent_id="ann", client_answer="x"
    )
    check(api)


async def test_a_question_needs_words(api: OperationsClient) -> None:
    task = await api.create_task()
    for text in ("", "   ", "\u200b"):
        await api.call_error(Invalid, "ask", task_id=task["id"], text=text, agent_id="ann")
    await api.call_error(QuestionNotFound, "answer_question", task_id=task["id"], question_id=9, text="x")


async def test_an_offer_with_an_answer_keeps_others_away(api: OperationsClient) -> None:
    task = await api.create_task()
    await answer(api, await ask(api, task["id"]))
    await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert (await api.claim(task["id"], "ann"))["holder"] == "ann"
    check(api)


async def test_the_context_of_an_agent_has_its_offers_and_the_answers_to_its_questions(api: OperationsClient) -> None:
    task = await api.create_task()
    await answer(api, await ask(api, task["id"]))
    context = await api.call("get_context", agent_id="ann")
    assert [link["id"] for link in context["offered"]] == [task["id"]]
    assert f"Offered to you: #{task['id']}" in context["next_step"]
    assert (await api.call("get_context", agent_id="bob"))["offered"] == []
    await api.claim_next("ann")
    (held,) = (await api.call("get_context", agent_id="ann"))["holding"]
    assert (held["answer"]["answer"], held["review"]) == ("green", None)


async def test_open_questions_are_counted(api: OperationsClient) -> None:
    task = await api.create_task()
    asked = await ask(api, task["id"])
    assert (await api.runtime.read("stats", stats.collect)).questions == 1
    await answer(api, asked)
    assert (await api.runtime.read("stats", stats.collect)).questions == 0


async def claim_while(api: OperationsClient, *agents: str, seconds: int) -> AsyncIterator[list[Json]]:
    """Yield the list of results of claims that wait meanwhile. Fail if it takes longer than 10 seconds."""
    results: list[Json] = []

    async def wait(agent: str) -> None:
        results.append(await api.claim_next(agent, wait_seconds=seconds))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for agent in agents:
                tasks.start_soon(wait, agent)
            while len(api.runtime.long_polls.waiting_calls) < len(agents):
                await anyio.lowlevel.checkpoint()
            yield results


waiting = asynccontextmanager(claim_while)


@pytest.mark.parametrize("blocker", ["conflict", "pause"])
async def test_a_waiting_asker_gets_the_task_when_its_last_blocker_ends(api: OperationsClient, blocker: str) -> None:
    other = await api.create_task("Cut the hedge")
    task = await api.create_task(conflicts_with=[other["id"]])
    asked = await ask(api, task["id"])
    if blocker == "conflict":
        await api.claim(other["id"], "bob")
    else:
        await api.set_status(other["id"], "DONE")
        pause = await api.acting_as(PERSON).call("start_pause", scope="all")
    await answer(api.acting_as(PERSON), asked)
    assert (await api.get_task(task["id"]))["offered_to"]["agent"] == "ann"
    async with waiting(api, "ann", seconds=15) as results:
        if blocker == "conflict":
            await api.set_status(other["id"], "DONE", "bob")
        else:
            await api.acting_as(PERSON).call("end_pause", pause_id=pause["id"])
    assert results[0]["task"]["id"] == task["id"]
    check(api)


@pytest.mark.slow
async def test_two_waiting_askers_do_not_get_conflicting_tasks_together(api: OperationsClient) -> None:
    one = await api.create_task("one")
    two = await api.create_task("two", conflicts_with=[one["id"]])
    questions = [await ask(api, one["id"], "ann"), await ask(api, two["id"], "bob")]
    pause = await api.acting_as(PERSON).call("start_pause", scope="project", id=one["project_id"])
    for asked in questions:
        await answer(api.acting_as(PERSON), asked)
    long_polls = api.runtime.long_polls
    async with waiting(api, "ann", "bob", seconds=1) as results, long_polls._pass:  # one pass gets both events
        await api.acting_as(PERSON).call("end_pause", pause_id=pause["id"])
        while len(long_polls._changes._task_ids) < len(questions):
            await anyio.lowlevel.checkpoint()
    assert sum(result["task"] is not None for result in results) == 1
    check(api)
