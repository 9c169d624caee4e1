import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from project_manager.cli.main import main
from tests.architecture.tree import CHECKOUT, files, name_of

PAGES = files("*.md")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
PROSE_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)[^)]*\)")

PICTURE = re.compile(r'(?:src|srcset)="(?!https?:)([^"]+)"')

PATH = re.compile(r"(?!/)[\w.*-]+(?:/[\w.*-]*)+|[\w.-]+\.(?:py|md|js|cfg|toml|yaml|yml|json|env|txt|in)")
"""A path in a text: a word with a slash, or with the suffix of a file. A route begins with a slash."""
GENERATED = ("dist/", ".venv/", "scripts/javascript/node_modules")

each_page = pytest.mark.parametrize("path", PAGES, ids=name_of)


def blocks(path: Path, *languages: str) -> list[str]:
    return [match["body"] for match in FENCE.finditer(path.read_text()) if match["language"] in languages]


def commands(path: Path) -> list[list[str]]:
    """Return the words of each command in the shell blocks of a page. In a session, commands follow `$ `."""
    typed = [line for block in blocks(path, "bash", "sh", "shell") for line in joined(block)]
    typed += [line[2:] for block in blocks(path, "console") for line in joined(block) if line.startswith("$ ")]
    return [words(part) for line in typed for part in re.split(r"\s(?:\||&&)\s|;\s", line)]


def joined(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


def words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:  # lines inside quoted text or a here-document are no commands
        return []


@each_page
def test_a_link_or_a_picture_leads_to_a_file(path: Path) -> None:
    prose = FENCE.sub("", path.read_text())
    links = [*PROSE_LINK.findall(prose), *PICTURE.findall(prose)]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


@each_page
def test_an_example_in_json_or_yaml_can_be_parsed(path: Path) -> None:
    for block in blocks(path, "json"):
        json.loads(block)
    for block in blocks(path, "yaml", "yml"):
        list(yaml.safe_load_all(block))


@each_page
def test_a_documented_script_exists(path: Path) -> None:
    named = {words[0] for words in commands(path) if words and words[0].startswith(("scripts/", ".ci/", "deploy/"))}
    assert {name for name in named if not (CHECKOUT / name).is_file()} == set()


@each_page
def test_a_documented_command_line_is_accepted(path: Path) -> None:
    for command in commands(path):
        if command and command[0] == "project-manager":
            assert unknown_words(command[1:]) == [], shlex.join(command)


def unknown_words(given: list[str]) -> list[str]:
    """Return the first sub-command and the options that the command line does not know."""
    command: click.Command = main
    while isinstance(command, click.Group) and given and not given[0].startswith("-"):
        if given[0] not in command.commands:
            return given[:1]
        command, given = command.commands[given[0]], given[1:]
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    options = [word.partition("=")[0] for word in given if word.startswith("-") and word != "-"]
    return [option for option in options if option not in known | {"--help", "--version"}]


def test_a_path_in_the_guide_for_contributors_exists() -> None:
    prose = FENCE.sub("", (CHECKOUT / "CONTRIBUTING.md").read_text())
    named = {word for code in re.findall(r"`([^`]+)`", prose) for word in code.split() if PATH.fullmatch(word)}
    assert {path for path in named if not path.startswith(GENERATED) and not is_there(path)} == set()


def is_there(path: str) -> bool:
    """Return whether a path or pattern matches in the checkout or in the package. A bare name may be in any folder."""
    return bool(files(path, f"project_manager/{path}" if "/" in path else f"*/{path}"))
