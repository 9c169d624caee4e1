"""The commands that run until they are stopped: `serve` and `mcp`."""

import json
import socket
import subprocess

from tests.e2e.command_line import COMMAND, CommandLine
from tests.e2e.service import TIMEOUT, environment, free_port


def test_a_busy_port_ends_the_start_with_a_sentence_and_no_other_port_is_tried(cli: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = cli.refuses(1, "serve", "--port", port, "--mcp-transport", "none")
        beside = cli.refuses(1, "serve", "--port", str(free_port()), "--mcp-port", port)
    assert f"DEFAULT_PORT {port}" in said
    assert "choose another with --port" in said
    assert "choose another with --mcp-port" in beside


def test_a_server_with_an_invalid_plan_does_not_start(cli: CommandLine) -> None:
    (cli.folder / "bad.yaml").write_text("projects: 5\n")
    said = cli.refuses(4, "serve", "--project", "bad.yaml", "--port", str(free_port()))
    line = json.loads(said.splitlines()[-1])
    assert (line["level"], line["action"]) == ("ERROR", "start_refused")
    assert line["message"].startswith("bad.yaml:1:11: `projects` must be a list")
    assert line["message"].endswith("Nothing was written.")
    listed = cli.refuses(4, "serve", "--project", "bad.yaml", "--port", str(free_port()), LOG_FORMAT="text")
    assert "\nbad.yaml:1:11: `projects` must be a list" in listed


def test_a_predecessors_command_line_still_starts_and_finds_its_plan(cli: CommandLine) -> None:
    port = free_port()
    words = ["serve", "--port", str(port), "--mcp-transport", "none", "--project", "plan.yaml", "--host", "127.0.0.1"]
    words += ["--no-browser", "--db-path", "team.db", "--verbose"]
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=cli.folder,
        env={**environment(), "LOG_FORMAT": "text"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("Imported: 4 created")
        assert str(port) in serving.stdout.readline()
        assert "healthy" in cli.says("healthcheck", "--port", str(port))
        serving.terminate()
        assert serving.wait(TIMEOUT) == 0
    assert cli.says("tasks", "--db-path", "team.db").splitlines()[0].endswith("Cart  (ready)")


def test_the_log_lists_the_addresses_and_standard_output_stays_empty(cli: CommandLine) -> None:
    port = free_port()
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port), "--mcp-transport", "none", "--no-browser"],
        cwd=cli.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        assert serving.stderr is not None
        any_time = ("slow_query", "events_head")
        lines = (line for line in map(json.loads, serving.stderr) if line["action"] not in any_time)
        said = next(lines)
        serving.terminate()
        assert serving.wait(TIMEOUT) == 0
        assert serving.stdout.read() == ""
        assert [line["action"] for line in lines] == ["stopping", "stopped"]
    assert (said["action"], said["dashboard"]) == ("started", f"http://127.0.0.1:{port}/")


ASKED = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "create_task", "arguments": {"name": "one", "agent_id": "claude-1"}},
    },
]


def encoded(*messages: object) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


def test_standard_output_of_mcp_contains_only_the_protocol(cli: CommandLine) -> None:
    said = cli.says("mcp", "--verbose", stdin=encoded(*ASKED))
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, said.splitlines())}
    assert "serverInfo" in answers[1]
    assert not answers[2]["isError"]


def test_mcp_logs_calls_to_standard_error_only_on_request(cli: CommandLine) -> None:
    assert cli.run("mcp", stdin=encoded(*ASKED)).stderr == ""
    assert '"create_task"' in cli.run("mcp", stdin=encoded(*ASKED), LOG_LEVEL="info").stderr
    assert '"create_task"' in cli.run("mcp", "--verbose", stdin=encoded(*ASKED)).stderr
    assert cli.run("mcp", stdin=encoded(*ASKED), LOG_FILE="mcp.log").stderr == ""
    assert '"create_task"' in (cli.folder / "mcp.log").read_text()
