"""Rows from before the composition of texts and the keys of names, and later rows without both."""

import json
import logging
import unicodedata
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

import anyio.to_thread
import pytest
from alembic import command

from project_manager.config.settings import load
from project_manager.domain.errors import LockHeld
from project_manager.runtime.open import open_runtime
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import driver
from tests.e2e.command_line import CommandLine
from tests.integration.test_knowledge_migration import configuration
from tests.operations_client import Json, MovableClock, OperationsClient

pytestmark = pytest.mark.slow

CAFE = "Caf\u00e9"
APART = unicodedata.normalize("NFD", CAFE)
TASK = (
    "INSERT INTO tasks (id, project_id, epic_id, name, description, status, priority, labels, acceptance, "
    "external_key, created_by, created_at, updated_at, version, fence, attempts, lock_holder, lock_acquired_at, "
    "lock_expires_at, lock_ttl, lock_fenced, lock_from, open_dependencies, unblocks, deferred, archived) "
    "VALUES (:id, :project, NULL, "
    ":name, :description, :status, 2, :labels, :labels, :key, :agent, 10, 10, 1, 3, 0, :holder, :since, :until, :ttl, "
    "0, :from, 0, 0, 0, 0)"
)


def task(task_id: int, **values: Any) -> Json:
    held = values.get("holder") is not None
    lease = {"since": 10, "until": 2**45, "ttl": 2**45, "from": "TODO"} if held else {}
    return {
        **dict.fromkeys(("key", "holder", "since", "until", "ttl", "from")),
        "id": task_id,
        "project": 1,
        "name": "x",
        "description": "",
        "agent": APART,
        "labels": "[]",
        "status": "IN_PROGRESS" if held else "TODO",
        **lease,
        **values,
    }


def write(path: Path, *statements: tuple[str, Any]) -> None:
    with closing(driver.connect(str(path))) as connection:
        for statement, values in statements:
            connection.execute(statement, values)


def read(path: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(driver.connect(str(path))) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(question).fetchall()
        return rows


@pytest.fixture
def before(both_forms: Path, tmp_path: Path) -> Path:
    """Return a copy of that database for one test."""
    return Path(copyfile(both_forms, tmp_path / "before.db"))


@pytest.fixture(scope="module")
def both_forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a database with the previous schema and with both forms of the same text."""
    path = tmp_path_factory.mktemp("both") / "before.db"
    command.upgrade(configuration(path), "0008")
    project = "INSERT INTO projects (id, name, description, version, created_at, updated_at) VALUES (?, ?, '', 1, 1, 1)"
    epic = (
        "INSERT INTO epics (id, project_id, name, description, status, position, version, created_at, updated_at) "
        "VALUES (?, ?, ?, '', 'ACTIVE', 0, 1, 1, 1)"
    )
    names = [APART, CAFE, CAFE.upper(), f"{CAFE} (2)", "Shop", "shop"]
    labels = json.dumps([APART, CAFE, "b"], ensure_ascii=False)
    data = json.dumps({"agent_id": APART, "reason": "forced", "lock": {"holder": APART}}, ensure_ascii=False)
    token = (
        "INSERT INTO tokens (id, name, role, agent_id, hash, created_at, revoked_at) VALUES (?, ?, 'agent', ?, ?, 1, ?)"
    )
    write(
        path,
        *[(project, (number, name)) for number, name in enumerate(names, 1)],
        *[(epic, (number, 1, name)) for number, name in enumerate((CAFE, APART), 1)],
        (epic, (3, 2, APART)),
        (TASK, task(1, name=APART, key=CAFE, labels=labels, description=f"{APART} 支付功能")),
        (TASK, task(2, name=APART, key=APART, holder=APART)),
        (TASK, task(3, project=2, key=APART)),
        (TASK, task(4, name="\u0958" * 200)),
        ("INSERT INTO task_logs VALUES (1, 1, ?, 'progress', ?, 1)", (APART, APART)),
        ("INSERT INTO events VALUES (1, 'task.unlocked', 1, ?, 'agent', 1, NULL, 1, ?)", (APART, data)),
        ("UPDATE tasks SET worked_by = ? WHERE id = 1", (APART,)),
        ("INSERT INTO ended_leases VALUES (1, 1, ?, 1, ?, 1, 2, 2, 'forced', 'TODO')", (APART, APART)),
        ("INSERT INTO agents VALUES (?, 'agent', 5, 6)", (APART,)),
        ("INSERT INTO agents VALUES (?, 'agent', 7, 8)", (CAFE,)),
        *[("INSERT INTO answers VALUES ('a', ?, ?, '{}', 1)", (key, key)) for key in (APART, CAFE)],
        ("INSERT INTO answers VALUES (?, 'k', 'h', '{}', 1)", (APART,)),
        (token, (1, APART, APART, "h1", None)),
        (token, (2, CAFE, None, "h2", None)),
        (token, (3, APART, None, "h3", 9)),
        (
            "INSERT INTO knowledge_items (id, project_id, title, content, category, tags, priority, active, metadata, "
            "version, created_by, created_at, updated_by, updated_at) "
            "VALUES (1, 1, ?, '実装', ?, ?, 0, 1, '{}', 1, ?, 1, ?, 1)",
            (APART, APART, labels, APART, APART),
        ),
    )
    return path


def test_rows_of_one_text_keep_their_ids_and_all_but_the_oldest_get_a_number(before: Path) -> None:
    upgrade(str(before))
    assert read(before, "SELECT id, name, name_key, version FROM projects ORDER BY id") == [
        (1, CAFE, "caf\u00e9", 1),
        (2, f"{CAFE} (3)", "caf\u00e9 (3)", 2),
        (3, f"{CAFE.upper()} (4)", "caf\u00e9 (4)", 2),
        (4, f"{CAFE} (2)", "caf\u00e9 (2)", 1),
        (5, "Shop", "shop", 1),
        (6, "shop (2)", "shop (2)", 2),
    ]
    assert read(before, "SELECT id, name FROM epics ORDER BY id") == [(1, CAFE), (2, f"{CAFE} (2)"), (3, CAFE)]
    assert read(before, "SELECT id, external_key FROM tasks WHERE external_key IS NOT NULL ORDER BY id") == [
        (1, CAFE),
        (2, f"{CAFE} (2)"),
        (3, CAFE),
    ]
    assert read(before, "SELECT id, name, agent_id FROM tokens ORDER BY id") == [
        (1, CAFE, CAFE),
        (2, f"{CAFE} (2)", None),
        (3, CAFE, None),
    ]


def test_every_other_single_line_text_is_composed_and_long_texts_stay(before: Path) -> None:
    upgrade(str(before))
    labels = json.dumps([CAFE, "b"], ensure_ascii=False)
    criteria = json.dumps([CAFE, CAFE, "b"], ensure_ascii=False)
    found = read(before, "SELECT name, description, labels, acceptance, created_by FROM tasks WHERE id = 1")
    assert found == [(CAFE, f"{APART} 支付功能", labels, criteria, CAFE)]
    assert read(before, "SELECT lock_holder, fence FROM tasks WHERE id = 2") == [(CAFE, 3)]
    assert read(before, "SELECT length(name) FROM tasks WHERE id = 4") == [(200,)]
    assert read(before, "SELECT worked_by FROM tasks WHERE id = 1") == [(CAFE,)]
    assert read(before, "SELECT agent_id, task_name FROM ended_leases") == [(CAFE, CAFE)]
    assert read(before, "SELECT author, body FROM task_logs") == [(CAFE, APART)]
    assert read(before, "SELECT * FROM agents") == [(CAFE, "agent", 5, 8)]
    assert read(before, "SELECT actor_id, key, request_hash FROM answers ORDER BY key") == [
        ("a", CAFE, CAFE),
        (CAFE, "k", "h"),
    ]
    ((actor, data),) = read(before, "SELECT actor_id, data FROM events")
    assert (actor, json.loads(data)) == (CAFE, {"agent_id": CAFE, "reason": "forced", "lock": {"holder": CAFE}})
    (item,) = read(before, "SELECT title, category, tags, created_by, updated_by FROM knowledge_items")
    assert item == (CAFE, CAFE, labels, CAFE, CAFE)


def test_the_rows_that_got_another_name_are_listed(before: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        upgrade(str(before))
    said = [record.getMessage() for record in caplog.records if record.name == "project_manager.migrations"]
    assert said == [
        f"project 2 has the same name as another one, '{CAFE}', and has '{CAFE} (3)' now",
        f"project 3 has the same name as another one, '{CAFE.upper()}', and has '{CAFE.upper()} (4)' now",
        "project 6 has the same name as another one, 'shop', and has 'shop (2)' now",
        f"epic 2 has the same name as another one, '{CAFE}', and has '{CAFE} (2)' now",
        f"task 2 has the same external_key as another one, '{CAFE}', and has '{CAFE} (2)' now",
        f"token 2 has the same name as another one, '{CAFE}', and has '{CAFE} (2)' now",
    ]


@pytest.fixture
def opened() -> Any:
    return lambda path: open_runtime(load({}, {"DATABASE_PATH": str(path)}, None).settings, clock=MovableClock())


async def test_the_holder_of_a_lease_continues_and_the_texts_are_found(before: Path, opened: Any) -> None:
    async with opened(before) as runtime:
        api = OperationsClient(runtime, runtime.clock)
        await api.call_error(LockHeld, "acquire_task_lock", task_id=2, agent_id="bob")
        assert (await api.claim(2, APART, fence=3))["fence"] == 3
        for query, ids in (("支付", [1]), ("付功", [1]), ("cafe", [1, 2, 3]), ("功能", [1])):
            assert [row["id"] for row in (await api.call("list_tasks", q=query))["items"]] == ids
        assert (await api.call("get_knowledge", q="装"))["total"] == 1


async def test_rows_of_a_release_without_keys_and_words_get_both_from_the_migration(
    before: Path, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await anyio.to_thread.run_sync(upgrade, str(before), "0014")
    project = "INSERT INTO projects (id, name, description, version, created_at, updated_at) VALUES (?, ?, '', 1, 1, 1)"
    epic = (
        "INSERT INTO epics (id, project_id, name, description, status, position, version, created_at, updated_at) "
        "VALUES (?, ?, 'CAF\u00c9', '', 'ACTIVE', 0, 1, 1, 1)"
    )
    written = [
        (project, (20, "\u00c9t\u00e9")),
        (project, (21, "SHOP")),
        (project, (22, "Shop (3)")),
        (epic, (20, 1)),
        (epic, (21, 20)),
        ("UPDATE projects SET name = 'Winter' WHERE id = 1", ()),
        (TASK, task(30, name="接口测试")),
        ("UPDATE tasks SET description = 'ดีมาก' WHERE id = 1", ()),
        ("UPDATE knowledge_items SET title = '題名' WHERE id = 1", ()),
    ]
    await anyio.to_thread.run_sync(write, before, *written)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        await anyio.to_thread.run_sync(upgrade, str(before))
    assert [record.getMessage() for record in caplog.records if record.name == "project_manager.migrations"] == [
        "project 21 has the same name as another one, 'SHOP', and has 'SHOP (4)' now",
        "epic 20 has the same name as another one, 'CAF\u00c9', and has 'CAF\u00c9 (3)' now",
    ]
    keys = "SELECT id, name_key FROM {} WHERE id IN (1, 20, 21, 22) ORDER BY id"
    assert await anyio.to_thread.run_sync(read, before, keys.format("projects")) == [
        (1, "winter"),
        (20, "\u00e9t\u00e9"),
        (21, "shop (4)"),
        (22, "shop (3)"),
    ]
    assert await anyio.to_thread.run_sync(read, before, keys.format("epics")) == [
        (1, "caf\u00e9"),
        (20, "caf\u00e9 (3)"),
        (21, "caf\u00e9"),
    ]
    async with opened(before) as runtime:
        api = OperationsClient(runtime, runtime.clock)
        for query, ids in (("口测", [30]), ("มา", [1]), ("支付", [])):
            assert [row["id"] for row in (await api.call("list_tasks", q=query))["items"]] == ids
        assert (await api.call("get_knowledge", q="題"))["total"] == 1
        for name, project_id in (("\u00e9t\u00e9", 20), ("winter", 1), ("sHoP", 5), ("shop (4)", 21)):
            assert (await api.create_task(project_name=name))["project_id"] == project_id


@pytest.mark.slow
def test_the_command_that_migrates_lists_the_rows_that_got_another_name(before: Path) -> None:
    done = CommandLine(before.parent).run("migrate", "--db-path", before.name)
    assert (done.returncode, "has schema" in done.stdout) == (0, True)
    assert f"project 2 has the same name as another one, '{CAFE}', and has '{CAFE} (3)' now" in done.stderr
    assert len(done.stderr.splitlines()) == 6
