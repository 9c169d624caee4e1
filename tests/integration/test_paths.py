"""Paths of tasks: tasks with overlapping paths are never in progress together."""

import random
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import orjson
import pytest

from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import Conflict, Invalid, NotReady, PathsReserved
from project_manager.runtime.open import open_runtime
from project_manager.services import lookup
from project_manager.services.path_reservations import RETURNED_AT_ONCE, RETURNED_PER_BATCH
from project_manager.store import leases
from project_manager.store.transaction import Tx
from tests.integration.invariants import check
from tests.integration.mcp_product import agent, product
from tests.integration.test_claim_long_poll import Waiting, serve, until_queue_has
from tests.integration.test_claim_long_poll import enqueue as queued
from tests.integration.test_claim_queue import claim_of
from tests.integration.test_readiness import why
from tests.operations_client import TIMEOUT, Json, OperationsClient, delete_events, run_due_jobs
from tests.stored_rows import address_of, read, settings_of

BOTH = [["src/api/a.py", "docs/a.md"], ["src/**"]]


async def pair(api: OperationsClient) -> tuple[Json, Json]:
    return await api.create_task("one", paths=BOTH[0]), await api.create_task("other", paths=BOTH[1])


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_task_is_not_ready_while_a_leased_task_has_overlapping_paths(
    api: OperationsClient, reverse: bool
) -> None:
    one, other = sorted(await pair(api), key=lambda task: int(task["id"]), reverse=reverse)
    free = await api.create_task("free", paths=["docs/b.md"])
    lock = await api.claim(one["id"], "ann")
    assert await why(api, other) == [f"its paths overlap those of task #{one['id']}, in progress"]
    assert (await api.get_task(other["id"]))["path_conflicts"] == [one["id"]]
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=other["id"], agent_id="bob")
    assert refusal.details["waiting_for"] == [one["id"]]
    assert (await api.claim_next("bob"))["task"]["id"] == free["id"]
    assert (await api.claim_next("cid"))["task"] is None
    check(api)
    since = await api.last_seq()
    await api.set_status(one["id"], "DONE", "ann", fence=lock["fence"])
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [other["id"]]
    assert await why(api, other) == []
    assert (await api.claim_next("cid"))["task"]["id"] == other["id"]
    check(api)


async def test_tasks_of_different_projects_have_different_files(api: OperationsClient) -> None:
    one = await api.create_task("one", paths=["a.py"])
    other = await api.create_task("other", project_name="Shed", paths=["a.py"])
    await api.claim(one["id"], "ann")
    assert await why(api, other) == []


async def test_a_task_without_paths_blocks_no_other(api: OperationsClient) -> None:
    one = await api.create_task("one")
    other = await api.create_task("other", paths=["**"])
    await api.claim(one["id"], "ann")
    assert await why(api, other) == []


@pytest.mark.parametrize("end", ["release", "expiry", "status", "force", "delete", "narrowed"])
async def test_a_blocked_task_is_ready_with_an_event_when_the_lease_ends(api: OperationsClient, end: str) -> None:
    one, other = await pair(api)
    fence = (await api.claim(one["id"], "ann", ttl_seconds=10))["fence"]
    assert (await api.claim_next("bob"))["task"] is None
    since = await api.last_seq()
    match end:
        case "release":
            await api.release(one["id"], "ann", fence=fence)
        case "expiry":
            await api.advance(10)
        case "status":
            await api.set_status(one["id"], "REVIEW", "ann", fence=fence)
        case "force":
            await api.release(one["id"], force=True)
        case "delete":
            await api.call("delete_task", task_id=one["id"], force=True)
        case "narrowed":
            await api.update_task(one["id"], "ann", fence=fence, paths=["docs/a.md"])
    assert other["id"] in [event["task_id"] for event in await api.events(since, "task.ready")]
    assert await why(api, other) == []
    check(api)


async def test_a_lease_that_is_taken_over_keeps_its_paths(api: OperationsClient) -> None:
    one, other = await pair(api)
    await api.claim(one["id"], "ann")
    assert (await api.claim_next("bob"))["task"] is None
    await api.claim(one["id"], "zed", force=True)
    assert len(await why(api, other)) == 1
    check(api)
    await api.release(one["id"], "zed")
    assert await why(api, other) == []
    check(api)


async def test_a_task_blocked_by_two_leases_waits_for_both(api: OperationsClient) -> None:
    one, two = await api.create_task("one", paths=["a/b"]), await api.create_task("two", paths=["a/c"])
    last = await api.create_task("last", paths=["a/**"])
    await api.claim(one["id"], "ann")
    await api.claim(two["id"], "bob")
    assert (await api.get_task(last["id"]))["path_conflicts"] == [one["id"], two["id"]]
    assert (await api.claim_next("cid"))["task"] is None
    await api.release(one["id"], "ann")
    assert (await api.claim_next("dee"))["task"]["id"] == one["id"]
    await api.release(two["id"], "bob")
    assert len(await why(api, last)) == 1
    check(api)
    await api.release(one["id"], "dee")
    assert await why(api, last) == []
    check(api)


async def test_an_event_of_a_lease_has_the_paths_that_it_reserves(api: OperationsClient) -> None:
    one, _ = await pair(api)
    since = await api.last_seq()
    await api.claim(one["id"], "ann")
    await api.release(one["id"], "ann")
    found = [(event["type"], event["paths"]) for event in await api.events(since, "task.locked", "task.unlocked")]
    assert found == [("task.locked", BOTH[0]), ("task.unlocked", BOTH[0])]


async def test_the_holder_adds_paths_to_its_lease(api: OperationsClient) -> None:
    one = await api.create_task("one", paths=["a.py"])
    other = await api.create_task("other", paths=["lib/x.py"])
    fence = (await api.claim(one["id"], "ann"))["fence"]
    renewed = await api.call("renew_task_lock", task_id=one["id"], agent_id="ann", fence=fence, paths=["lib/*"])
    assert renewed["task"]["paths"] == ["a.py", "lib/*"]
    assert len(await why(api, other)) == 1
    check(api)
    await api.release(one["id"], "ann", fence=fence)
    assert await why(api, other) == []
    assert (await api.get_task(one["id"]))["paths"] == ["a.py", "lib/*"]


@pytest.mark.parametrize("way", ["renewal", "edit by the holder", "edit by a person"])
async def test_reserving_more_paths_is_all_or_nothing_and_names_the_other_holder(
    api: OperationsClient, way: str
) -> None:
    one = await api.create_task("one", paths=["a.py"])
    other = await api.create_task("other", paths=["lib/x.py"])
    fence = (await api.claim(one["id"], "ann"))["fence"]
    expires_at = (await api.claim(other["id"], "bob"))["expires_at"]
    since = await api.last_seq()
    if way == "renewal":
        operation, fields = "renew_task_lock", {"agent_id": "ann", "fence": fence, "paths": ["b.py", "lib/*"]}
    else:
        operation, fields = "update_task", {"paths": ["a.py", "b.py", "lib/*"]}
        fields |= {"agent_id": "ann", "fence": fence} if way == "edit by the holder" else {}
    refusal = await api.call_error(PathsReserved, operation, task_id=one["id"], **fields)
    assert refusal.details == {
        "task_id": one["id"],
        "paths": ["lib/*"],
        "reserved_by": other["id"],
        "holder": "bob",
        "expires_at": expires_at,
    }
    assert await api.last_seq() == since
    assert (await api.get_task(one["id"]))["paths"] == ["a.py"]
    check(api)


async def test_a_task_with_changed_paths_is_judged_by_the_new_ones(api: OperationsClient) -> None:
    one, other = await pair(api)
    await api.claim(one["id"], "ann")
    assert (await api.claim_next("bob"))["task"] is None
    since = await api.last_seq()
    await api.update_task(other["id"], paths=["lib/**"])
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [other["id"]]
    assert await why(api, other) == []
    await api.update_task(other["id"], paths=["docs/*"])
    assert len(await why(api, other)) == 1
    check(api)


async def test_invalid_paths_are_refused_with_the_field_and_the_remedy(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "create_task", name="x", paths=["ok", "src/"])
    assert refusal.details["errors"][0]["field"] == "paths.1"  # type: ignore[index]
    assert "write `/**` at the end" in refusal.message
    refusal = await api.call_error(Invalid, "create_task", name="x", paths=[f"f{n}" for n in range(51)])
    assert refusal.details["errors"][0]["field"] == "paths"  # type: ignore[index]
    task = await api.create_task(paths=[f"f{n}" for n in range(50)])
    await api.claim(task["id"], "ann")
    refusal = await api.call_error(Invalid, "renew_task_lock", task_id=task["id"], agent_id="ann", paths=["more"])
    assert "would have 51 paths; the limit is 50" in refusal.message


async def test_a_slash_at_the_start_is_left_out(api: OperationsClient) -> None:
    assert (await api.create_task(paths=["/a", "./a", "a"]))["paths"] == ["a"]


async def test_a_claimed_task_is_returned_to_the_index_of_ready_tasks(api: OperationsClient) -> None:
    one, other = await pair(api)
    await api.claim(one["id"], "ann")
    assert (await api.claim_next("bob"))["task"] is None
    await api.set_status(other["id"], "BACKLOG")
    await api.release(one["id"], "ann")
    await api.claim(other["id"], "bob")
    await api.release(other["id"], "bob")
    check(api)


async def many(api: OperationsClient, number: int) -> Json:
    """Create a task that overlaps this number of others, which follow it in claim order, and return it."""
    first: Json = await api.create_task("wide", priority=0, paths=["src/**"])
    for start in range(0, number, 500):
        made = [{"name": f"{n}", "paths": [f"src/{n % 97}.py"]} for n in range(start, min(number, start + 500))]
        await api.call("create_tasks", project_id=first["project_id"], tasks=made)
    return first


async def test_many_blocked_tasks_return_in_parts(api: OperationsClient) -> None:
    number = RETURNED_AT_ONCE + 2 * RETURNED_PER_BATCH - 100
    first = await many(api, number)
    await api.claim(first["id"], "ann")
    assert (await api.claim_next("bob"))["task"] is None
    check(api)
    since = await api.last_seq()
    await api.set_status(first["id"], "DONE", "ann")
    assert len(await api.events(since, "task.ready")) >= RETURNED_AT_ONCE
    with anyio.fail_after(TIMEOUT):
        while len(await api.events(since, "task.ready")) < number:
            await run_due_jobs(api.runtime)
    assert (await api.claim_next("bob"))["task"] is not None
    check(api)


async def test_a_waiting_claim_gets_a_task_when_its_paths_are_free(api: OperationsClient) -> None:
    one, other = await pair(api)
    await api.claim(one["id"], "ann")
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as running:
            found: list[Json] = []

            async def wait() -> None:
                found.append(await api.claim_next("bob", wait_seconds=30))

            running.start_soon(wait)
            await until_queue_has(api, 1)
            await api.set_status(one["id"], "DONE", "ann")
    assert found[0]["task"]["id"] == other["id"]
    check(api)


@pytest.mark.parametrize("promised_to", ["this process", "another process"])
async def test_one_pass_over_the_queue_gives_no_two_overlapping_tasks(api: OperationsClient, promised_to: str) -> None:
    orphans = await queued(api, *[claim_of(agent_id=f"agent-{n}") for n in range(4)])
    ids = [(await api.create_task(name, paths=[name]))["id"] for name in ("src/**", "src/a", "src/b", "docs/a")]
    served = await serve(api, orphans if promised_to == "this process" else orphans[1:])
    found = [served.get(orphan.id) for orphan in orphans]
    assert found == [ids[0] if promised_to == "this process" else None, ids[3], None, None]
    check(api)


async def test_a_task_that_overlaps_a_promised_one_is_left(api: OperationsClient) -> None:
    await queued(api, claim_of(agent_id="waiter", priority=0))
    await api.create_task("promised", priority=0, paths=["src/a"])
    await api.create_task("overlapping", paths=["src/**"])
    assert (await api.claim_next("newcomer"))["task"] is None


async def test_a_waiter_gets_a_task_that_it_accepts_since_an_edit_while_paths_blocked_it(api: OperationsClient) -> None:
    one, other = await pair(api)
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as running:
            waiting = Waiting(api, running)
            await waiting.enqueue("bob", labels=["x"])
            await api.claim(one["id"], "ann")
            await api.update_task(other["id"], labels=["x"])
            await api.set_status(one["id"], "DONE", "ann")
            await waiting.until_served(1)
    assert waiting.got == {"bob": "other"}


async def test_one_of_many_agents_gets_one_of_many_overlapping_tasks(api: OperationsClient) -> None:
    for number in range(10):
        await api.create_task(f"{number}", paths=[f"src/{number}*/**" if number % 2 else "src/**"])
    found: list[Json] = []

    async def claim(agent: str) -> None:
        found.append(await api.claim_next(agent))

    async with anyio.create_task_group() as running:
        for number in range(8):
            running.start_soon(claim, f"agent-{number}")
    leased = [answer["task"]["paths"] for answer in found if answer["task"] is not None]
    assert leased == [["src/**"]]
    check(api)


async def test_agents_of_two_instances_never_hold_overlapping_tasks(api: OperationsClient) -> None:
    groups = 6
    for number in range(5 * groups):
        name = f"g{number % groups}"
        await api.create_task(name, paths=[f"{name}/**" if number < groups else f"{name}/[0-{number % 9}].py"])
    found: list[str] = []

    async def claim(client: OperationsClient, agent: str) -> None:
        task = (await client.claim_next(agent))["task"]
        found.extend([] if task is None else [task["name"]])

    settings = settings_of(address_of(api.runtime))
    async with open_runtime(settings, clock=api.clock, kind="command") as runtime:
        clients = (api, OperationsClient(runtime, api.clock))
        async with anyio.create_task_group() as running:
            for number in range(24):
                running.start_soon(claim, clients[number % 2], f"agent-{number}")
    assert sorted(found) == [f"g{number}" for number in range(groups)]
    check(api)


async def test_a_model_sees_the_paths_of_its_task_and_reserves_more(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for paths in (["src/a/**"], ["lib/**"]):
            await someone.ok("create_task", name="task", project_name="Shop", paths=paths)
        claim = await someone.ok("claim_next_task", agent_id="ann")
        assert claim["task"]["paths"] == ["src/a/**"]
        assert "path_conflicts" not in claim["task"]
        mine = {"task_id": 1, "agent_id": "ann", "fence": claim["lock"]["fence"]}
        assert len(orjson.dumps(await someone.ok("renew_task_lock", paths=["docs/*"], **mine))) / 4 <= 45
        await someone.ok("acquire_task_lock", task_id=2, agent_id="bob")
        error = await someone.fails("renew_task_lock", paths=["lib/a"], **mine)
        assert "PATHS_RESERVED" in error
        assert "`lib/a` overlap paths of task 2, locked by bob until" in error


async def test_maintenance_deletes_unused_globs_and_ends_reservations_of_a_previous_release(
    api: OperationsClient,
) -> None:
    one, other = await pair(api)
    await api.claim(one["id"], "ann")
    assert (await api.claim_next("bob"))["task"] is None
    await api.create_task("unused", paths=["old/**"])
    await api.call("delete_task", task_id=3)

    def end_lease(tx: Tx) -> None:  # as a release does that has no paths
        row = lookup.task(tx, one["id"])
        leases.set_status(tx, row, "DONE", attempts=0)

    await api.runtime.database.writer.run("end", end_lease, SYSTEM, "")
    since = await api.last_seq()
    await delete_events(api.runtime, days=90)
    await run_due_jobs(api.runtime)
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [other["id"]]
    globs = await anyio.to_thread.run_sync(read, address_of(api.runtime), "SELECT glob FROM path_globs ORDER BY glob")
    assert [row["glob"] for row in globs] == ["docs/a.md", "src/**", "src/api/a.py"]


SEGMENTS = ["a", "b", "*", "**", "a?", "[ab]*"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_the_database_and_the_rules_agree_after_random_operations(api: OperationsClient, seed: int) -> None:
    chance = random.Random(seed)
    project = (await api.create_task("first"))["project_id"]

    def globs() -> list[str]:
        return ["/".join(chance.choices(SEGMENTS, k=chance.randint(1, 3))) for _ in range(chance.randint(0, 3))]

    ids = [
        (await api.create_task("t", project_id=project, paths=globs(), labels=chance.choice([[], ["x"]])))["id"]
        for _ in range(10)
    ]
    for _ in range(40):
        task_id, agent = chance.choice(ids), f"agent-{chance.randint(1, 4)}"
        operation, fields = chance.choice(
            [
                ("claim_next_task", {}),
                ("claim_next_task", {"labels": ["x"]}),
                ("acquire_task_lock", {"task_id": task_id, "ttl_seconds": 60}),
                ("release_task_lock", {"task_id": task_id}),
                ("renew_task_lock", {"task_id": task_id, "paths": globs()}),
                ("update_task", {"task_id": task_id, "paths": globs()}),
                ("update_task_status", {"task_id": task_id, "status": chance.choice(["TODO", "DONE", "REVIEW"])}),
            ]
        )
        with suppress(Conflict):
            await api.call(operation, agent_id=agent, **fields)
        if chance.random() < 0.1:
            await api.advance(61)
        await run_due_jobs(api.runtime)
        for one in ids:
            await why(api, {"id": one})
    check(api)
