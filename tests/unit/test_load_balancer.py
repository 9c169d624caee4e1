"""The scripts of the load balancer that need no container engine."""

import json
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
TIME = "2026-11-28T10:14:13.281832+00:00"


def lines_of(text: str) -> list[dict[str, object]]:
    script = DEPLOY / "haproxy" / "json-lines.sed"
    done = subprocess.run(["sed", "-u", "-E", "-f", script], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        (
            f'<3>{TIME} {{"action":"proxied","status":503}}',
            {"timestamp": "2026-11-28T10:14:13.281Z", "level": "ERROR", "action": "proxied", "status": 503},
        ),
        (
            f'<5>{TIME} Server a/b is "UP" \\',
            {
                "timestamp": "2026-11-28T10:14:13.281Z",
                "level": "INFO",
                "action": "load_balancer",
                "message": 'Server a/b is "UP" \\',
            },
        ),
        (f"<4>{TIME} Proxy mcp stopped", {"level": "WARNING", "message": "Proxy mcp stopped"}),
        ('[ALERT]    (1) : config : unknown "x"', {"level": "ERROR", "message": '(1) : config : unknown "x"'}),
        ("tab\tand bell\a", {"level": "INFO", "action": "load_balancer", "message": "tab and bell "}),
        ("", {"level": "INFO", "message": ""}),
    ],
)
def test_each_line_of_haproxy_becomes_one_object(line: str, made: dict[str, object]) -> None:
    (read,) = lines_of(f"{line}\n")
    assert made.items() <= read.items()


def test_the_state_of_a_server_is_logged_once() -> None:
    message = "Server requests/pm1 is UP, reason: Layer7 check passed"
    twice = f"[WARNING]  (29) : {message}\n<5>{TIME} {message}\n"
    assert [line["message"] for line in lines_of(twice)] == [message]


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
@pytest.mark.parametrize(("name", "value"), [("DEFAULT_PORT", "0"), ("DEFAULT_PORT", "+8080"), ("MCP_PORT", "x; id")])
def test_a_port_that_cannot_be_used_stops_the_start_with_one_sentence(proxy: str, name: str, value: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", name: value}
    script = DEPLOY / proxy / "start.sh"
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{name} is '{value}', but must be a port from 1 to 65535 behind the load balancer.\n"
