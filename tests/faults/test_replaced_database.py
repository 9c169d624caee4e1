"""A server and an MCP process while their database file is moved away, replaced and put back."""

import json
import subprocess
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from tests.e2e.command_line import COMMAND, SECONDS, CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment

CALL = {"name": "create_task", "arguments": {"name": "Paint", "agent_id": "ada"}}


@pytest.mark.promise("file:replaced")
def test_a_server_with_a_removed_or_replaced_file_reports_it_refuses_writes_and_recovers(start_service: Start) -> None:
    service = start_service()
    away = service.folder / "away.db"
    cli = CommandLine(service.folder)
    place = ("--db-path", str(service.database))
    with service.http() as client:
        post(service, 201)
        cli.says("backup", "good.db", *place)
        service.database.rename(away)
        assert post(service, 503)["code"] == "database_moved"
        health = client.get("/healthz")
        assert (health.status_code, health.json()["reasons"]) == (503, ["database file was removed or renamed"])
        assert client.get("/readyz").json()["checks"]["file"] is False
        assert client.get("/api/tasks").json()["total"] == 1
        assert "although the file was removed" in cli.refuses(5, "restore", "good.db", *place)
        copyfile(service.folder / "good.db", service.database)
        assert post(service, 503)["code"] == "database_moved"
        assert client.get("/healthz").json()["reasons"] == ["database file was replaced"]
        assert client.get("/api/tasks").status_code == 503
        assert "open" in cli.refuses(5, "restore", "good.db", *place)
        away.replace(service.database)
        service.wait_until(service.is_healthy)
        post(service, 201)
    messages = [line["message"] for line in service.lines("database_moved")]
    assert ["recovered" in line for line in (messages[0], messages[-1])] == [False, True]
    assert service.stop() == 0
    service.start()
    with service.http() as client:
        assert client.get("/api/tasks").json()["total"] == 2


def post(service: Service, status: int) -> dict[str, Any]:
    with service.http() as client:
        answer = client.post("/api/tasks", json={"name": "Paint", "project_name": "Garden"})
    assert answer.status_code == status
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.sqlite_only
def test_an_mcp_process_with_a_removed_file_reports_it_in_the_answer(database: Path) -> None:
    words = [*COMMAND, "mcp", "--db-path", str(database)]
    with subprocess.Popen(
        words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        ask(process, 1, "initialize", hello)
        assert not ask(process, 2, "tools/call", CALL)["isError"]
        database.unlink()
        refused = ask(process, 3, "tools/call", CALL)
        assert refused["isError"]
        assert "database file was removed" in json.dumps(refused)
        process.communicate(timeout=SECONDS)


def ask(process: "subprocess.Popen[str]", number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
    process.stdin.flush()
    result: dict[str, Any] = json.loads(process.stdout.readline())["result"]
    return result
