import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from project_manager.observability import logging as logs

Configure = Callable[..., io.StringIO]
LOGGER = logging.getLogger("project_manager.tested")


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Send the log to a stream instead of standard error, and restore everything afterwards."""
    root, package = logging.getLogger(), logging.getLogger("project_manager")
    before = (root.handlers[:], root.level, package.level)

    def start(level: str = "INFO", format: str = "json", file: str = "", quiet: bool = False) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(level, format, file, quiet=quiet)
        return stream

    yield start
    for handler in root.handlers[:]:
        if handler not in before[0]:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(before[1])
    package.setLevel(before[2])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_action_is_one_json_line_with_its_fields(configure: Configure) -> None:
    stream = configure()
    logs.log_action(LOGGER, "acquire_task_lock", interface="rest", task_id=7, name="x", args=[1], level=3)
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": 3,
        "logger": "project_manager.tested",
        "message": "acquire_task_lock",
        "action": "acquire_task_lock",
        "interface": "rest",
        "task_id": 7,
        "name": "x",
        "args": [1],
    }


def test_each_line_carries_the_request_it_belongs_to(configure: Configure) -> None:
    stream = configure()
    logs.bind_context("req-1", None)
    logs.log_action(LOGGER, "list_tasks")
    LOGGER.info("plain")
    logs.bind_context("", None)
    LOGGER.info("none")
    first, second, third = lines(stream)
    assert (first["request_id"], second["request_id"]) == ("req-1", "req-1")
    assert "request_id" not in third


def test_an_ordinary_line_keeps_its_extra_fields_and_its_traceback(configure: Configure) -> None:
    stream = configure()
    try:
        raise RuntimeError("disk gone")
    except RuntimeError:
        LOGGER.exception("write failed", extra={"jobs": 3})
    (line,) = lines(stream)
    assert (line["level"], line["message"], line["jobs"]) == ("ERROR", "write failed", 3)
    assert "RuntimeError: disk gone" in line["exc_info"]


def test_a_level_that_is_off_writes_nothing(configure: Configure) -> None:
    stream = configure("WARNING")
    logs.log_action(LOGGER, "quiet")
    logs.log_action(LOGGER, "slow_query", logging.WARNING, query="list_tasks")
    assert [line["action"] for line in lines(stream)] == ["slow_query"]


def test_other_libraries_are_logged_from_warning_on(configure: Configure) -> None:
    stream = configure("DEBUG")
    logging.getLogger("another.library").info("chatter")
    logging.getLogger("another.library").warning("trouble")
    LOGGER.debug("ours")
    assert [line["message"] for line in lines(stream)] == ["trouble", "ours"]


def test_text_lines_are_for_people_and_stay_one_line(configure: Configure) -> None:
    stream = configure(format="text")
    logs.bind_context("req-1", None)
    logs.log_action(LOGGER, "create_task", task="two\nlines", holder="agent-1", note="")
    logs.bind_context("", None)
    (line,) = stream.getvalue().splitlines()
    _, _, text = line.partition("Z ")
    assert text == (
        'INFO project_manager.tested: create_task task="two\\nlines" holder=agent-1 note="" request_id=req-1'
    )


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_line_holds_no_character_that_acts_on_a_terminal(configure: Configure, format: str) -> None:
    stream = configure(format=format)
    logs.log_action(LOGGER, "create_task", actor="a\u009b31m\u202eb")
    LOGGER.warning("cannot be read: %s", "\x1b[2Jc\u009dd")
    written = stream.getvalue()
    assert [letter for letter in written if letter != "\n" and not letter.isprintable()] == []
    assert "\\u009b31m\\u202e" in written
    assert "\\u001b[2J" in written


def test_text_lines_show_a_traceback(configure: Configure) -> None:
    stream = configure(format="text")
    try:
        raise RuntimeError("disk gone")
    except RuntimeError:
        LOGGER.exception("write failed")
    assert "Traceback" in stream.getvalue()
    assert stream.getvalue().endswith("RuntimeError: disk gone\n")


async def test_the_lines_of_one_iteration_of_the_loop_are_written_in_the_next(configure: Configure) -> None:
    stream = configure()
    logs.log_action(LOGGER, "first")
    logs.log_action(LOGGER, "second")
    assert lines(stream) == []
    await anyio.lowlevel.checkpoint()
    assert [line["message"] for line in lines(stream)] == ["first", "second"]


def test_a_loop_that_ended_with_a_pending_line_delays_no_line_of_the_next_loop(configure: Configure) -> None:
    async def leave_a_line() -> None:
        logs.log_action(LOGGER, "left behind")
        asyncio.get_running_loop().stop()

    async def log_line() -> None:
        logs.log_action(LOGGER, "said")
        await anyio.lowlevel.checkpoint()
        assert [line["message"] for line in lines(stream)] == ["left behind", "said"]

    stream = configure()
    ended = asyncio.new_event_loop()
    left = ended.create_task(leave_a_line())
    ended.run_forever()
    ended.close()
    assert left.done()
    assert lines(stream) == []
    asyncio.run(log_line())


def test_a_log_file_gets_the_same_lines(configure: Configure, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "pm.log"
    stream = configure(file=str(file))
    logs.log_action(LOGGER, "serve", port=8080)
    assert file.read_text() == stream.getvalue()
    assert lines(stream)[0]["port"] == 8080


def test_a_log_file_is_rotated_and_five_older_ones_are_kept(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    configure(file=str(tmp_path / "pm.log"))
    for number in range(100):
        logs.log_action(LOGGER, "tick", number=number)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["pm.log", *(f"pm.log.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_configuring_again_replaces_the_earlier_configuration(configure: Configure, tmp_path: Path) -> None:
    first = configure(file=str(tmp_path / "first.log"))
    second = configure()
    LOGGER.info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1
    assert (tmp_path / "first.log").read_text() == ""


def test_a_repeated_failure_is_logged_once_then_at_intervals_and_when_it_is_over(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = configure()
    trouble = logs.RateLimitedWarning(LOGGER, "fetch_failed", "letters cannot be fetched")
    for _ in range(100):
        trouble.failed("nobody opens")
    monkeypatch.setattr(logs, "REPEAT_SECONDS", 0)
    trouble.failed("still nobody")
    for _ in range(100):
        trouble.recovered()
    trouble.failed("nobody again")
    assert [line["message"] for line in lines(stream)] == [
        "letters cannot be fetched: nobody opens",
        "letters cannot be fetched: still nobody",
        "letters cannot be fetched: recovered",
        "letters cannot be fetched: nobody again",
    ]
    assert {line["action"] for line in lines(stream)} == {"fetch_failed"}


def test_a_quiet_log_shows_warnings_only_and_keeps_the_rest_in_its_file(configure: Configure, tmp_path: Path) -> None:
    stream = configure(quiet=True, file=str(tmp_path / "pm.log"))
    logs.log_action(LOGGER, "list_tasks")
    LOGGER.warning("careful")
    assert [line["message"] for line in lines(stream)] == ["careful"]
    kept = [json.loads(line)["message"] for line in (tmp_path / "pm.log").read_text().splitlines()]
    assert kept == ["list_tasks", "careful"]


def test_a_quiet_log_without_a_file_formats_no_unread_line(configure: Configure) -> None:
    stream = configure(quiet=True)
    assert not LOGGER.isEnabledFor(logging.INFO)
    LOGGER.error("broken")
    assert [line["message"] for line in lines(stream)] == ["broken"]
    configure("ERROR", quiet=True)
    assert not LOGGER.isEnabledFor(logging.WARNING)
