"""Output of commands on full disks, closed pipes and other encodings."""

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

import pytest

from tests.e2e.command_line import COMMAND, SECONDS, CommandLine
from tests.e2e.service import TIMEOUT, environment
from tests.e2e.test_cli import until_closed

FULL = Path("/dev/full")
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
PLAN = "projects:\n- name: Café 実装\n  tasks: [{name: Zahlung prüfen}]\n"
ACTING = "\u009b31mred\u202egnp.exe"
WRITTEN = ACTING.replace("\u009b", "\\x9b")
PLAN_OF_ACTING = f"""
projects:
- name: "Shop"
  tasks:
  - name: Pay
    description: "{WRITTEN}\\e[2J"
    log: [{{author: ann, kind: progress, at: 2026-11-28T10:00:00Z, body: "{WRITTEN}"}}]
"""
WRITING = (
    ["--help"],
    ["--version"],
    ["tasks", "--help"],
    ["tasks"],
    ["tasks", "--json"],
    ["config"],
    ["export"],
    ["export", "--format", "json"],
    ["import", "plan.yaml", "--dry-run"],
    ["migrate"],
    ["backup", "copy.db"],
    ["verify"],
    ["restore", "good.db"],
    ["token", "create", "ada"],
    ["token", "list"],
    ["token", "revoke", "old"],
    ["token", "clear", "--yes"],
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    """Create a folder with a database, a backup of it, a plan and a token."""
    folder = tmp_path_factory.mktemp("output")
    (folder / "data").mkdir()
    copyfile(template, folder / "data" / "tasks.db")
    (folder / "plan.yaml").write_text(PLAN)
    cli = CommandLine(folder)
    cli.says("import", "plan.yaml")
    cli.says("token", "create", "old")
    cli.says("backup", "good.db")
    return folder


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open(FULL, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def closed_pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


def written_to(folder: Path, output: int, *words: str, **variables: str) -> tuple[int, str]:
    """Run a command with this standard output. Return its exit status and standard error."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_standard_output_on_a_full_disk_is_reported_in_one_sentence(
    prepared: Path, tmp_path: Path, words: list[str]
) -> None:
    folder = copied(prepared, tmp_path)
    with full_disk() as output:
        status, said = written_to(folder, output, *words)
    assert status == 5
    assert said.splitlines()[-1] == "Cannot write to standard output: No space left on device."
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [["--help"], ["tasks"], ["export"]], ids=" ".join)
def test_a_closed_standard_output_pipe_is_reported_in_one_sentence(prepared: Path, words: list[str]) -> None:
    with closed_pipe() as output:
        assert written_to(prepared, output, *words) == (5, "Cannot write to standard output: Broken pipe.\n")


def test_closed_standard_output_is_reported_and_no_file_gets_its_descriptor(prepared: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "tasks"],
        cwd=prepared,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (5, "Cannot write to standard output: Bad file descriptor.\n")
    assert CommandLine(prepared).run("verify").returncode == 0


def test_a_failed_command_keeps_its_exit_status_when_standard_error_is_full(prepared: Path) -> None:
    with full_disk() as output:
        words = [*COMMAND, "export", "--project", "X"]
        done = subprocess.run(words, cwd=prepared, env=environment(), stderr=output, timeout=SECONDS)
    assert done.returncode == 3


def test_a_server_starts_when_standard_output_cannot_be_written(prepared: Path, tmp_path: Path) -> None:
    folder = copied(prepared, tmp_path)
    with full_disk() as output:
        words = [*COMMAND, "serve", "--port", "0", "--mcp-transport", "none"]
        with subprocess.Popen(
            words, cwd=folder, env=environment(LOG_FORMAT="text"), stdout=output, stderr=subprocess.PIPE, text=True
        ) as server:
            assert server.stderr is not None
            assert any("started" in line for line in server.stderr)
            server.terminate()
            assert server.wait(TIMEOUT) == 0


def test_a_plan_is_exported_in_utf_8_with_any_locale(prepared: Path) -> None:
    cli = CommandLine(prepared)
    exported = subprocess.run(
        [*COMMAND, "export"],
        cwd=prepared,
        env=environment(**ASCII),
        stdout=subprocess.PIPE,
        check=True,
        timeout=SECONDS,
    ).stdout
    assert "Café 実装" in exported.decode("utf-8")
    latin = subprocess.run(
        [*COMMAND, "tasks"],
        cwd=prepared,
        env=environment(PYTHONIOENCODING="latin-1"),
        stdout=subprocess.PIPE,
        check=True,
        timeout=SECONDS,
    ).stdout
    assert "Zahlung prüfen" in latin.decode("utf-8")
    again = subprocess.run(
        [*COMMAND, "import", "-", "--dry-run"],
        cwd=prepared,
        env=environment(**ASCII),
        input=exported,
        stdout=subprocess.PIPE,
        check=True,
        timeout=SECONDS,
    ).stdout
    assert b"0 created" in again
    assert cli.says("export").encode() == exported


def test_a_terminal_gets_replacement_characters_for_unsupported_characters(prepared: Path) -> None:
    terminal, other_end = pty.openpty()
    words = [*COMMAND, "export"]
    with subprocess.Popen(
        words, cwd=prepared, env=environment(PYTHONIOENCODING="latin-1"), stdin=other_end, stdout=other_end
    ) as process:
        os.close(other_end)
        shown = until_closed(terminal, "latin-1")
        assert process.wait(TIMEOUT) == 0
    assert "Café ??" in shown


@pytest.mark.parametrize(
    "words",
    [["tasks", "--json"], ["export"], ["import", "faulty.yaml"], ["config", f"--{ACTING}"]],
    ids=["tasks", "export", "a fault", "usage"],
)
def test_text_from_a_client_cannot_control_a_terminal(prepared: Path, tmp_path: Path, words: list[str]) -> None:
    folder = copied(prepared, tmp_path)
    (folder / "acting.yaml").write_text(PLAN_OF_ACTING)
    (folder / "faulty.yaml").write_text('projects: [{name: P, "\\e[2J\\x9b": 1}]')
    CommandLine(folder).says("import", "acting.yaml")
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(PYTHONUTF8="1"),
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    ) as process:
        os.close(other_end)
        shown = until_closed(terminal, "utf-8").replace("\r\n", "\n")
        process.wait(TIMEOUT)
    assert [letter for letter in shown if letter in "\r\x1b" or "\x7f" <= letter <= "\x9f" or letter == "\u202e"] == []
    assert "\\u" in shown or "\\x" in shown


def test_output_to_a_file_is_not_escaped(prepared: Path, tmp_path: Path) -> None:
    folder = copied(prepared, tmp_path)
    cli = CommandLine(folder)
    (folder / "acting.yaml").write_text(PLAN_OF_ACTING)
    cli.says("import", "acting.yaml")
    assert "\u202e" in cli.says("tasks", "--json")


def copied(prepared: Path, folder: Path) -> Path:
    """Copy the prepared folder for a test that changes it."""
    (folder / "data").mkdir()
    for path in prepared.iterdir():
        if path.is_file():
            copyfile(path, folder / path.name)
    copyfile(prepared / "good.db", folder / "data" / "tasks.db")
    return folder
