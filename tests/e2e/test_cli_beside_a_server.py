"""Commands on the database of a running server."""

import json
import re
import subprocess
from pathlib import Path

import httpx

from tests.e2e.command_line import COMMAND, CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, TIMEOUT, Service, environment

PLAN = "projects:\n- name: Shop\n  tasks:\n  - name: Cart\n  - {name: Pay, depends_on: Cart}\n"


def command_line_for(service: Service) -> CommandLine:
    (service.folder / "plan.yaml").write_text(PLAN)
    return CommandLine(service.folder)


def test_clients_of_a_running_server_see_an_import_at_once(start_service: Start) -> None:
    service = start_service()
    with service.http() as client:
        head = client.get("/api/events").json()["head"]
        words = [*COMMAND, "import", "plan.yaml", "--db-path", str(service.database)]
        command_line_for(service)
        with subprocess.Popen(words, cwd=service.folder, env=environment(), stdout=subprocess.DEVNULL) as importing:
            awaited = {"since": head, "types": "import.finished", "wait_seconds": int(START_SECONDS)}
            page = client.get("/api/events", params=awaited, timeout=START_SECONDS + TIMEOUT).json()
            assert importing.wait(TIMEOUT) == 0
        assert page["items"][0]["created"] == 3
        assert [task["name"] for task in client.get("/api/board/state").json()["tasks"]] == ["Cart", "Pay"]


def test_an_import_over_http_has_the_same_effect_as_the_command(start_service: Start, tmp_path: Path) -> None:
    service = start_service()
    cli = command_line_for(service)
    with service.http() as client:
        over_http = client.post("/api/import", json={"document": PLAN, "dry_run": True}).json()
        by_command = json.loads(
            cli.says("import", "plan.yaml", "--dry-run", "--json", "--db-path", str(service.database))
        )
        assert over_http == by_command
        bad = client.post("/api/import", json={"document": "prjects: 1\nx: 2", "source": "a.yaml"})
        assert bad.status_code == 422
        faults = bad.json()["details"]["errors"]
        assert [(fault["line"], fault["column"]) for fault in faults] == [(1, 1), (2, 1)]
        client.post("/api/import", json={"document": PLAN})
        assert client.get("/api/export").json()["document"] == cli.says("export", "--db-path", str(service.database))


def test_a_token_from_the_command_line_makes_a_running_server_require_tokens(start_service: Start) -> None:
    service = start_service()
    cli = command_line_for(service)
    with service.http() as client:
        assert client.get("/api/projects").status_code == 200
        secret = cli.says("token", "create", "ada", "--role", "operator", "--db-path", str(service.database)).strip()
        service.wait_until(lambda: client.get("/api/projects").status_code == 401)
        with service.http(Authorization=f"Bearer {secret}") as ada:
            assert ada.get("/api/projects").status_code == 200
            cli.says("token", "revoke", "ada", "--db-path", str(service.database))
            service.wait_until(lambda: ada.get("/api/projects").status_code == 401)


def test_a_backup_works_with_a_running_server_but_a_restore_needs_it_stopped(start_service: Start) -> None:
    service = start_service()
    cli = command_line_for(service)
    place = ("--db-path", str(service.database))
    with service.http() as client:
        client.post("/api/import", json={"document": PLAN})
        epoch = client.get("/api/events").json()["epoch"]
        fence = client.post("/api/tasks/1/lock", json={"agent_id": "ada"}).json()["lock"]["fence"]
        cli.says("backup", "good.db", *place)
        client.post("/api/tasks", json={"name": "After the backup", "project_name": "Shop"})
        assert "use" in cli.refuses(5, "restore", "good.db", *place)
        assert client.get("/api/tasks/3").status_code == 200
    assert service.stop() == 0
    cli.says("restore", "good.db", *place)
    service.start()
    with service.http() as client:
        assert client.get("/api/events").json()["epoch"] != epoch
        assert client.get("/api/tasks/3").status_code == 404
        late = client.post("/api/task/1/status", json={"agent_id": "ada", "status": "DONE", "fence": fence})
        assert (late.status_code, late.json()["code"]) == (409, "stale_fence")
        assert client.post("/api/tasks/1/lock", json={"agent_id": "bob"}).json()["lock"]["fence"] > fence


def test_a_metric_has_the_time_of_the_last_verified_backup_from_any_process(start_service: Start) -> None:
    service = start_service()
    cli = command_line_for(service)
    with service.http() as client:
        assert verified(client) == 0
        cli.says("backup", "good.db", "--db-path", str(service.database))
    with service.http() as client:
        service.wait_until(lambda: verified(client) > 0, 2 * TIMEOUT)


def verified(client: httpx.Client) -> float:
    found = re.search(r"^pm_backup_verified_timestamp_seconds (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])
