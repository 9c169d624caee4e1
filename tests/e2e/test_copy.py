"""The command copy: a service moves to PostgreSQL and back, and its clients continue without a gap."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import connect

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.postgres_server import PostgresServer
from tests.stored_rows import Address, read_all

pytestmark = pytest.mark.slow

PATIENCE = 60
PER_PROCESS = {"instances", "waiters", "sqlite_sequence", "alembic_version", "counter", "batch_marks"}
"""Tables that the databases keep for themselves, and those with a row for each process."""


@pytest.fixture
def empty(postgresql_server: PostgresServer) -> Iterator[str]:
    """Return the URL of a database without tables, with a password that the server does not ask for."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name).replace("postgres@", "postgres:hush@")
    postgresql_server.drop_database(name)


def durable_rows(address: Address) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables that a copy keeps. The search index differs between the databases."""
    found = read_all(address)
    return {
        name: sorted(rows, key=repr) for name, rows in found.items() if name not in PER_PROCESS and "_fts" not in name
    }


class Client:
    """A client that works on a task and follows all events, over every restart of the service."""

    def __init__(self, token: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.epoch = ""
        self.seen: list[int] = []
        self.lock: dict[str, Any] = {}

    def send(self, service: Service, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with service.http(**self.headers, **headers) as http:
            return http.request(method, path, json=body).raise_for_status().json()

    def head(self, service: Service) -> int:
        return int(self.send(service, "GET", "/api/metrics")["events"]["seq"])

    def claim(self, service: Service) -> int:
        claim = self.send(service, "POST", "/api/tasks/claim", {"agent_id": "ann", "ttl_seconds": 3600})
        self.lock = claim["lock"]
        return int(claim["task"]["id"])

    def add_task(self, service: Service, name: str, key: str) -> Any:
        return self.send(
            service, "POST", "/api/tasks", {"name": name, "project_name": "Move"}, **{"Idempotency-Key": key}
        )

    async def follow(self, service: Service) -> None:
        """Take the events after the last one that was seen, up to the head, over the WebSocket."""
        head, last = self.head(service), self.seen[-1] if self.seen else 0
        query = f"?since={last}&epoch={self.epoch}" if self.epoch else "?since=0"
        with anyio.fail_after(PATIENCE):
            async with connect(service.websocket_url + query, additional_headers=self.headers, proxy=None) as socket:
                self.epoch = json.loads(await socket.recv())["epoch"]  # the first frame is `hello`
                while not self.seen or self.seen[-1] < head:
                    message = json.loads(await socket.recv())
                    assert message["type"] != "resync"
                    self.seen.append(message["seq"])

    def page(self, service: Service, since: int) -> list[int]:
        """Return the numbers of the next events over HTTP."""
        page = self.send(service, "GET", f"/api/events?since={since}&epoch={self.epoch}&limit=500")
        assert not page["resync"]
        return [event["seq"] for event in page["items"]]


async def test_clients_continue_after_a_move_to_postgresql_and_back(
    prepare_service: Start, tmp_path: Path, cli: CommandLine, empty: str
) -> None:
    first = prepare_service()
    place = ("--db-path", str(first.database))
    client = Client(cli.says("token", "create", "ann", "--role", "operator", *place).strip())
    first.start()
    token = ("--token", client.headers["Authorization"].removeprefix("Bearer "))
    CommandLine(tmp_path, PATIENCE).says("demo", "--url", first.url, "--speed", "100", *token)
    created = client.add_task(first, "Pack boxes", "k1")
    task_id = client.claim(first)
    await client.follow(first)
    moved_at = client.seen[-1]
    assert first.stop() == 0
    before = durable_rows(first.database)
    assert "compared on both sides" in cli.says("copy", str(first.database), empty)
    assert durable_rows(empty) == before

    second = prepare_service(DATABASE_PATH="", DATABASE_URL=empty).start()
    assert client.add_task(second, "Pack boxes", "k1") == created
    held = {"agent_id": "ann", "fence": client.lock["fence"]}
    client.send(second, "PUT", f"/api/tasks/{task_id}/lock", {**held, "ttl_seconds": 3600})
    assert client.add_task(second, "Carry boxes", "k2")["id"] == created["id"] + 1
    found = client.send(second, "GET", "/api/tasks?q=boxes")
    assert [task["name"] for task in found["items"]] == ["Pack boxes", "Carry boxes"]
    await client.follow(second)
    assert second.stop() == 0
    assert "hush" not in second.log
    assert "compared on both sides" in cli.says("copy", empty, "back.db")
    assert durable_rows(tmp_path / "back.db") == durable_rows(empty)

    third = prepare_service(DATABASE_PATH=tmp_path / "back.db").start()
    client.send(third, "POST", f"/api/tasks/{task_id}/status", {**held, "status": "DONE"})
    await client.follow(third)
    assert client.seen == list(range(1, client.head(third) + 1))
    assert client.page(third, moved_at) == client.seen[moved_at:]
    assert third.stop() == 0
    assert "is intact" in cli.says("verify", "--db-path", "back.db")


def test_the_result_as_json_has_the_digests_of_all_tables(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    found = json.loads(cli.says("copy", "data/tasks.db", "sqlite:///new/folder/copy.db", "--json"))
    assert (found["from"], found["to"], found["differences"]) == ("data/tasks.db", "new/folder/copy.db", [])
    assert found["tables"]["tasks"]["rows"] == 2
    assert len(found["tables"]["tasks"]["sha256"]) == 64
    assert found["head"].startswith("5:")
    assert "Cart  (ready)" in cli.says("tasks", "--db-path", "new/folder/copy.db")
    assert (cli.folder / "new/folder/copy.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("status", "source", "target", "sentence"),
    [
        (1, "data/tasks.db", "./data/../data/tasks.db", "FROM and TO are the same database"),
        (1, "postgresql://u:hush@h/d", "postgresql://u:hush@h/d", "FROM and TO are the same database"),
        (1, "data/tasks.db", "plan.yaml", "The file plan.yaml already exists"),
        (1, "plan.yaml", "copy.db", "The file plan.yaml is not a database"),
        (2, "postgresql://u:hu%zzsh@h/d", "copy.db", "FROM is malformed"),
        (2, "data/tasks.db", "mysql://u:hush@h/d", "TO has the unsupported scheme 'mysql'"),
        (2, "data/tasks.db", "postgresql:/u:hush@h/d", "TO has the unsupported scheme 'postgresql'"),
        (3, "missing.db", "copy.db", "No database at missing.db; correct FROM"),
        (5, "data/tasks.db", "postgresql://u:hush@127.0.0.1:1/pm", "127.0.0.1:1/pm cannot be reached"),
        (5, "postgresql://u:hush@127.0.0.1:1/pm", "copy.db", "127.0.0.1:1/pm cannot be reached"),
    ],
)
def test_a_copy_that_cannot_be_made_is_refused_in_one_sentence(
    cli: CommandLine, status: int, source: str, target: str, sentence: str
) -> None:
    said = cli.refuses(status, "copy", source, target)
    assert sentence in said
    assert said.count("\n") == 1
    assert "hush" not in said
    assert not (cli.folder / "copy.db").exists()
