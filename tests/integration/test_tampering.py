"""Changes by other programs are found in events, rows, the schema and backups."""

import logging
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, SYSTEM
from project_manager.runtime.calls import Caller
from project_manager.runtime.open import open_runtime
from project_manager.store import chain, retention
from project_manager.store.chain import Head
from project_manager.store.errors import BackupError
from project_manager.store.sqlite import backup, driver
from project_manager.store.sqlite.restore import restore
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.watched_connection import traced
from tests.operations_client import DAY_MS, MovableClock, OperationsClient
from tests.stored_rows import address_of, settings_of

pytestmark = pytest.mark.slow

DAY = 24 * 3600
PLAN = """
projects:
- name: Shed
  description: Tools
  epics:
  - name: Roof
    tasks:
    - name: Sort
      log:
      - {author: ann, kind: handoff, body: half of it, at: 2026-11-01T10:00:00Z}
      assumptions:
      - {text: "#COMPLETION_DRIVE_IMPL: dry", author: ann, at: 2026-11-01T10:00:00Z}
"""


@pytest.fixture(scope="module")
def worked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a database with the work of some agents."""
    path = Path(copyfile(template, tmp_path_factory.mktemp("worked") / "worked.db"))
    anyio.run(partial(work, path))
    return path


async def work(path: Path) -> None:
    clock = MovableClock()
    async with open_runtime(settings_of(path), clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        epic = await api.call("create_epic", name="Outside", project_name="Garden")
        for name in ("Paint", "Dig", "Plant", "Water"):
            await api.create_task(name, epic_id=epic["id"], description=f"{name} well")
        lock = await api.claim(1, "ann")
        await api.call("add_task_log", task_id=1, agent_id="ann", fence=lock["fence"], body="half done")
        await api.set_status(1, "DONE", "ann", fence=lock["fence"])
        await api.claim(2, "bob")
        await api.set_status(3, "DONE", "eve")
        await api.call("upsert_knowledge", title="Paint", content="Green paint lasts.", project_name="Garden")
        await api.call("import_plan", document=PLAN)
        token = {"name": "reader", "role": "viewer"}
        await runtime.run(BY_NAME["create_token"], token, Caller(LOCAL, "cli", "test"))


@pytest.fixture
def path(worked: Path, tmp_path: Path) -> Path:
    return Path(copyfile(worked, tmp_path / "pm.db"))


def change(path: Path, *statements: str) -> None:
    """Edit the database like another program, without the service's functions and pragmas."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def found(path: Path, *published: Head) -> tuple[str, ...]:
    examined = backup.check_file(path, published=published)
    assert examined.problems == ()
    return examined.differences


def asked(path: Path, question: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchone()[0]


def head_of(path: Path) -> Head:
    with closing(driver.connect(str(path))) as connection:
        return chain.head(Tx(connection, 0, SYSTEM, "", 0))


def test_the_tables_written_by_the_service_match_its_events(path: Path) -> None:
    examined = backup.check_file(path)
    assert (examined.problems, examined.differences, examined.unchecked) == ((), (), 0)
    assert examined.head == head_of(path)


NEWEST = "(SELECT max(seq) FROM events)"
FORGED_TOKEN = (
    "INSERT INTO tokens (name, role, hash, created_at) VALUES ('root', 'operator', 'abc', 1)",
    "INSERT INTO task_logs (task_id, author, kind, body, created_at) VALUES (1, 'ann', 'evidence', 'tested', 1)",
)
TAMPERS: dict[str, tuple[str, ...]] = {
    "event 3 was changed": ("UPDATE events SET data = json_set(data, '$.name', 'Dug') WHERE seq = 3",),
    "event 4 was changed": ("UPDATE events SET actor_id = 'eve' WHERE seq = 4",),
    "event 5 was changed": ("UPDATE events SET at = at + 1 WHERE seq = 5",),
    "event 6 was changed": ("UPDATE events SET request_id = 'other' WHERE seq = 6",),
    "event 1 was changed": ("UPDATE events SET sealed = NULL WHERE seq = 1",),
    "event 8 was changed": ("UPDATE events SET hash = zeroblob(32) WHERE seq = 8",),
    "event 9 was changed": ("UPDATE events SET data = CAST(x'7b22ff227d' AS TEXT) WHERE seq = 9",),
    "event 10 was changed": ("UPDATE events SET data = CAST(data AS BLOB) WHERE seq = 10",),
    "events 1 to 2 are missing": ("DELETE FROM events WHERE seq < 3",),
    "event 4 is missing": ("DELETE FROM events WHERE seq = 4",),
    "the last assigned number": (f"DELETE FROM events WHERE seq = {NEWEST}",),
    "token 1 exists, but no event records its creation": (
        f"DELETE FROM events WHERE seq = {NEWEST}",
        f"UPDATE sqlite_sequence SET seq = {NEWEST} WHERE name = 'events'",
    ),
    "task 4 has status DONE": ("UPDATE tasks SET status = 'DONE', completed_at = 1 WHERE id = 4",),
    "task 2 has holder eve": ("UPDATE tasks SET lock_holder = 'eve' WHERE id = 2",),
    "task 2 has epic None": ("UPDATE tasks SET epic_id = NULL WHERE id = 2",),
    "task 4 has project 2": ("UPDATE tasks SET project_id = 2 WHERE id = 4",),
    "task 2 has fence 0": ("UPDATE tasks SET fence = 0 WHERE id = 2",),
    "task 2 has fence 9, but": ("UPDATE tasks SET fence = 9 WHERE id = 2",),
    "task 3 has fence 0": ("UPDATE tasks SET fence = 0 WHERE id = 3", "DELETE FROM ended_leases"),
    "the lease on task 2 exceeds": ("UPDATE tasks SET lock_expires_at = lock_expires_at + 9000000 WHERE id = 2",),
    "task 4 was changed": ("UPDATE tasks SET description = 'Do nothing' WHERE id = 4",),
    "task 5 was changed": ("UPDATE tasks SET priority = 0 WHERE id = 5",),
    "task 4 is missing": ("DELETE FROM tasks WHERE id = 4",),
    "task 6 exists, but no event records its creation": (
        "INSERT INTO tasks (project_id, name, description, status, priority, labels, acceptance, created_by, "
        "created_at, updated_at, version, fence, attempts, lock_fenced, open_dependencies, unblocks, deferred, "
        "archived) VALUES (1, 'Steal', '', 'TODO', 0, '[]', '[]', 'eve', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)",
    ),
    "log entry 1 was changed": ("UPDATE task_logs SET body = 'all done' WHERE id = 1",),
    "log entry 2 was changed": ("UPDATE task_logs SET author = 'eve' WHERE id = 2",),
    "log entry 1 is missing": ("DELETE FROM task_logs",),
    "log entry 3 exists, but no event records its creation": FORGED_TOKEN[1:],
    "token 2 exists, but no event records its creation": FORGED_TOKEN[:1],
    "token 1 was changed": ("UPDATE tokens SET role = 'operator'",),
    "token 1 is missing": ("DELETE FROM tokens",),
    "project 1 was changed": ("UPDATE projects SET archived_at = 1 WHERE id = 1",),
    "epic 1 was changed": ("UPDATE epics SET status = 'COMPLETED' WHERE id = 1",),
    "epic 2 is missing": ("UPDATE tasks SET epic_id = NULL WHERE epic_id = 2", "DELETE FROM epics WHERE id = 2"),
    "knowledge 1 was changed": ("UPDATE knowledge_items SET content = 'Red paint lasts.'",),
    "knowledge 1 is missing": ("DELETE FROM knowledge_items", "DELETE FROM knowledge_versions"),
    "assumption 1 was changed": ("UPDATE assumptions SET text = 'wet'",),
    "the index ix_tasks_claimable is missing": ("DROP INDEX ix_tasks_claimable",),
    "the trigger tasks_fts_delete is missing": ("DROP TRIGGER tasks_fts_delete",),
    "the trigger obey is not part of the schema": (
        "CREATE TRIGGER obey AFTER INSERT ON tasks BEGIN DELETE FROM task_logs; END",
    ),
    "the index uq_tokens_name_live differs": (
        "DROP INDEX uq_tokens_name_live",
        "CREATE INDEX uq_tokens_name_live ON tokens (name)",
    ),
    "events up to 5": ("UPDATE meta SET event_floor = 5",),
    "event 1 was changed: its hash": ("UPDATE meta SET floor_hash = randomblob(32)",),
    "the fence floor is 9": ("UPDATE meta SET fence_floor = 9",),
}


@pytest.mark.promise("audit:tampering")
@pytest.mark.parametrize("words", TAMPERS)
def test_a_change_without_the_service_is_found_and_named(path: Path, words: str) -> None:
    change(path, *TAMPERS[words])
    assert any(words in difference for difference in found(path)), found(path)


@pytest.mark.promise("audit:tampering")
def test_a_recomputed_chain_does_not_contain_the_published_head(path: Path) -> None:
    """An attacker with write access can also compute hashes, but cannot change a published head."""
    published = head_of(path)
    change(path, "UPDATE events SET actor_id = 'eve' WHERE seq = 4")
    recompute_chain(path)
    assert found(path) == ()
    assert found(path, published) == (f"the hash of event {published.seq} differs from the published head",)


def recompute_chain(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        previous = chain.GENESIS_HASH
        for row in connection.execute(f"SELECT {', '.join(chain.COLUMNS)} FROM events ORDER BY seq").fetchall():
            previous = chain.link(previous, row)
            connection.execute("UPDATE events SET hash = ? WHERE seq = ?", (previous, row[0]))
        connection.commit()


async def test_the_newest_event_and_its_hash_are_in_the_metrics_and_in_the_log(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    await api.create_task()
    head = await api.runtime.read("head", chain.head)
    found = await service.ok("GET", "/api/metrics")
    assert found["events"] == {"seq": head.seq, "hash": head.hash.hex()}
    with caplog.at_level(logging.INFO, logger="project_manager"):
        assert await api.runtime.jobs.run_once("latest_event")
    assert caplog.messages[-1] == f"latest event: {head}"


async def test_a_batch_reads_the_end_of_the_chain_only_after_another_process_has_committed(
    api: OperationsClient,
) -> None:
    await api.create_task()
    connection = api.runtime.database.writer._connection
    read_head = chain._LAST.compiled(connection.dialect).sql
    with traced(connection) as statements:
        await api.create_task()
        assert statements.count(read_head) == 0
        await commit_in_another_process(api)
        await api.create_task()
    assert statements.count(read_head) == 1


async def commit_in_another_process(api: OperationsClient) -> None:
    async with open_runtime(settings_of(address_of(api.runtime)), clock=api.clock, kind="command") as runtime:
        await OperationsClient(runtime, api.clock).call("update_project", project_id=1, description="Flowers")


def test_a_published_head_is_missed_when_the_events_up_to_it_were_cut_off(path: Path) -> None:
    published = head_of(path)
    change(path, "DELETE FROM tokens", f"DELETE FROM events WHERE seq = {NEWEST}")
    change(path, f"UPDATE sqlite_sequence SET seq = {NEWEST} WHERE name = 'events'")
    assert found(path) == ()
    assert found(path, published) == (f"event {published.seq}, a published head, is missing",)


def test_earlier_heads_stay_part_of_the_chain(path: Path) -> None:
    early = Head(3, asked(path, "SELECT hash FROM events WHERE seq = 3"))
    assert found(path, early, head_of(path)) == ()
    assert Head.read(str(early)) == early


@pytest.mark.parametrize("text", ["", "7", "7:zz", "x:00", f"-1:{'00' * 32}", "7:00"])
def test_a_malformed_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SEQ:HASH"):
        Head.read(text)


def test_of_many_differences_twenty_are_named_and_the_others_counted(path: Path) -> None:
    change(path, "UPDATE events SET at = at + 1", "UPDATE tasks SET name = 'Rest'")
    differences = found(path)
    assert len(differences) == 21
    assert differences[-1] == f"and {head_of(path).seq + 5 - 20} more differences"


def test_the_hash_of_an_event_can_be_computed_from_its_row_alone(path: Path) -> None:
    """Follow the description in docs/security.md, with an independent library."""
    import hashlib  # noqa: PLC0415
    import json  # noqa: PLC0415

    with closing(sqlite3.connect(path)) as connection:
        previous = bytes(32)
        for *columns, stored in connection.execute(f"SELECT {', '.join(chain.COLUMNS)}, hash FROM events ORDER BY seq"):
            written = json.dumps(columns, separators=(",", ":"), ensure_ascii=False).encode()
            previous = hashlib.sha256(previous + written).digest()
            assert previous == stored


@pytest.mark.promise("audit:tampering")
def test_a_changed_backup_is_found_also_with_a_recomputed_or_removed_checksum(path: Path, tmp_path: Path) -> None:
    made = backup.back_up(path, tmp_path / "copy.db")
    assert made.head == head_of(path)
    change(made.path, "UPDATE tasks SET description = 'Do nothing' WHERE id = 4")
    sidecar = backup.checksum_path(made.path)
    sidecar.write_text(f"{backup.checksum(made.path)}  copy.db\n")
    assert found(made.path) == ("task 4 was changed, but no event records the change",)
    sidecar.unlink()
    assert found(made.path) == ("task 4 was changed, but no event records the change",)


def test_a_backup_of_changed_contents_is_made_and_restored_only_by_force(path: Path, tmp_path: Path) -> None:
    change(path, "UPDATE tasks SET description = 'Do nothing' WHERE id = 4")
    made = backup.back_up(path, tmp_path / "copy.db")
    assert made.differences == ("task 4 was changed, but no event records the change",)
    with pytest.raises(BackupError, match=r"task 4 was changed, .* --force"):
        restore(made.path, tmp_path / "new.db", 1)
    assert restore(made.path, tmp_path / "new.db", 1, force=True).released == 1


@pytest.fixture
def restored(path: Path, tmp_path: Path) -> Path:
    """Return the database after the restore of a backup that is two events old."""
    made = backup.back_up(path, tmp_path / "copy.db")
    anyio.run(partial(add_tasks, path, 2))
    replaced = head_of(path)
    done = restore(made.path, path, MovableClock().instant + 1000)
    row = asked(path, "SELECT data FROM events WHERE type = 'database.restored'")
    details = orjson.loads(row)
    assert details["replaced"] == {
        "epoch": details["backup"]["epoch"],
        "seq": replaced.seq,
        "hash": replaced.hash.hex(),
    }
    assert Head(details["backup"]["seq"], bytes.fromhex(details["backup"]["hash"])) == made.head
    assert (details["epoch"], details["fence_floor"]) == (done.epoch, done.fence_floor)
    return path


async def add_tasks(path: Path, number: int) -> None:
    clock = MovableClock()
    async with open_runtime(settings_of(path), clock=clock) as runtime:
        for name in range(number):
            await OperationsClient(runtime, clock).create_task(f"task {name}")


def test_a_restore_continues_the_chain_of_the_backup_and_names_the_replaced_head(restored: Path) -> None:
    assert found(restored) == ()
    anyio.run(partial(add_tasks, restored, 1))
    assert found(restored) == ()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE meta SET fence_floor = 0", "the fence floor is 0"),
        ("UPDATE meta SET epoch = 'other'", "the epoch is other"),
        ("UPDATE tasks SET fence = 5 WHERE id = 4", "task 4 has fence 5"),
    ],
)
def test_the_values_set_by_a_restore_are_compared_with_its_event(restored: Path, statement: str, words: str) -> None:
    change(restored, statement)
    assert any(words in difference for difference in found(restored))


@pytest.fixture
def pruned(restored: Path) -> Path:
    """Return the restored database after retention has deleted all events but the newest ones."""
    anyio.run(partial(run_retention_and_continue, restored))
    return restored


async def run_retention_and_continue(path: Path) -> None:
    clock = MovableClock()
    clock.advance(60)
    settings = settings_of(path, EVENT_RETENTION_DAYS=1000)
    async with open_runtime(settings, clock=clock) as runtime:
        clock.advance(2 * DAY)
        await OperationsClient(runtime, clock).claim(4, "ann")
        writer = runtime.database.writer
        assert await writer.run("retain", lambda tx: retention.delete_old_events(tx, tx.now - DAY_MS), SYSTEM, "") > 0


def test_retention_keeps_the_chain_and_old_tasks_are_counted_as_not_compared(pruned: Path) -> None:
    examined = backup.check_file(pruned)
    assert (examined.problems, examined.differences) == ((), ())
    assert examined.unchecked == 4
    assert asked(pruned, "SELECT min(seq) FROM events") == asked(pruned, "SELECT event_floor + 1 FROM meta")


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (("DELETE FROM events WHERE seq = (SELECT min(seq) FROM events)",), "is missing"),
        (("UPDATE meta SET event_floor = 0",), "events 1 to"),
        (("UPDATE meta SET fence_floor = 0",), "the fence floor is 0"),
        (("UPDATE tasks SET fence = 0 WHERE id = 1",), "task 1 has fence 0"),
        (("UPDATE tasks SET status = 'TODO', lock_holder = NULL, lock_acquired_at = NULL, lock_expires_at = NULL, "
          "lock_ttl = NULL, lock_from = NULL WHERE id = 4",), "task 4 has status TODO"),
        (FORGED_TOKEN[:1], "token 2 exists, but no event records its creation"),
        (FORGED_TOKEN[1:], "log entry 3 exists, but no event records its creation"),
    ],
)  # fmt: skip
def test_tampering_is_found_after_retention_has_removed_events(
    pruned: Path, statements: tuple[str, ...], words: str
) -> None:
    change(pruned, *statements)
    assert any(words in difference for difference in found(pruned)), found(pruned)


def test_a_head_that_retention_has_removed_is_called_too_old(pruned: Path, worked: Path) -> None:
    assert found(pruned, head_of(worked)) == (
        f"event {head_of(worked).seq}, a published head, is older than the retained events",
    )
