#!/usr/bin/env python3
"""Generate pages of the documentation: settings, operations, events, errors, and the table of layers."""

import ast
import configparser
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from project_manager.catalogue import OPERATIONS
from project_manager.config.settings import SETTINGS
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.events import EventType
from project_manager.operations.definition import Operation, Profile
from project_manager.web.errors import STATUS, status_of

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "project_manager"
BEGIN = "<!-- layers: written by scripts/docs -->"
END = "<!-- end of layers -->"
GENERATED = "<!-- Written by scripts/docs: change the code that it is made from. -->"


def settings() -> str:
    rows = [
        f"| `{setting.name}` | {_default(setting.default)} | {setting.parse.accepts} | {setting.doc} |"
        for setting in SETTINGS
    ]
    return _page(
        "Settings",
        "A flag of `project-manager serve` beats the environment, the environment beats the file given with "
        "`--env-file`, and that beats\nthe default. `project-manager config` prints each effective value and where it "
        "came from. A malformed value stops the start\nwith one sentence that names it. (`. .venv/bin/activate` in a "
        "checkout, or `pip install .`, puts `project-manager` on the PATH.)\nPaths are taken from the folder that the "
        "service is started in; `scripts/server` puts its database into the checkout.\n\n"
        "A secret can come from a file: `DATABASE_URL_FILE=/run/secrets/database_url` reads `DATABASE_URL` from there, "
        "without blanks\naround it. Setting both in one source is an error. A name in the env file that is no setting, "
        "and one in the environment that\nlooks like a misspelt setting, is warned about with the nearest name.",
        ["| setting | default | accepts | what it does |", "|---|---|---|---|", *rows],
    )


def operations() -> str:
    rows = ["| " + " | ".join((f"`{operation.name}`", *_columns(operation))) + " |" for operation in OPERATIONS]
    return _page(
        "Operations",
        "Everything that can be done, once: each row is a REST route, most are MCP tools too, and all doors run the "
        "same use case.\nA running server shows the same with every field at `/docs` and as OpenAPI 3.1 at "
        "`/openapi.json`. Tools marked *all* are\nanswered when they are called, and listed with `MCP_TOOLS=all`.\n\n"
        "A page of a list has at most `limit` rows, and ends earlier when the texts of its rows are 1 MiB together: "
        "whether there is\nmore says `next_cursor` (for events `last_seq` and `head`), not the number of rows.\n\n"
        "`last_seen` of an agent is when it last wrote (claimed, renewed, reported); reads do not count, and it is "
        "noted every 5 s at\nmost. An operation that is neither a route nor a tool is one of the command line.\n\n"
        "## Names and keys\n\n"
        "Texts of one line (names, labels, keys, agent ids, idempotency keys) are stored and compared in Unicode's "
        "form NFC, so that\ncomposed and decomposed letters are the same. A text without any visible character is "
        "refused. Names of projects, and of epics\nin a project, are the same when they differ only in case, width, "
        "blanks or invisible characters (NFKC casefold): `Caf\u00e9`,\n`CAF\u00c9` and `caf\u00e9 ` are one. Labels, "
        "external keys, agent ids and idempotency keys are compared exactly.\n\n"
        "A label may hold a comma when labels are sent as a list. A text of labels, as in a query, is split at "
        "commas.\n\n"
        "## Search\n\n"
        "`q` finds rows that have all of its words, in any column. Case and diacritics do not count, the end of a word "
        "may be\nmissing, and words joined by punctuation (`foo-bar`) have to follow each other. Chinese, Japanese, "
        "Korean, Thai, Lao, Khmer and\nMyanmar text is found by any part of it.\n\n"
        "## All operations",
        ["| operation | REST | MCP tool | role | what it does |", "|---|---|---|---|---|", *rows],
    )


def errors() -> str:
    rows = [
        f"| `{error.code}` | {status_of(error)} | {_cell(error.default_hint or (error.__doc__ or '').strip())} |"
        for error in _leaves(ProjectManagerError)
        if error.__module__ == ProjectManagerError.__module__
    ]
    return _page(
        "Errors",
        "Every refusal has one body, through every door: `code` (stable), `message` (what and why), `hint` (what to do "
        "next),\n`details` (the facts) and `request_id`.\n\n"
        "`faults` in `details` lists the first 20 faults of an invalid request; `total` counts them when there are\n"
        "more. An object has at most 256 fields, and a list reports its first invalid entry. A call counts for the\n"
        "rate limit before its input is read.\n\n"
        "A refusal may be sent while the body of the request is still on its way. The server then reads and drops\n"
        "the rest, so that the client can read the answer: up to 128 MiB and 30 seconds, and no longer than 5 seconds\n"
        "without a byte.",
        ["| code | status | what to do |", "|---|---|---|", *rows],
    )


def event_types() -> str:
    rows = [f"| `{kind.value}` |" for kind in EventType]
    return _page(
        "Event types",
        "The types by which `GET /api/events?types=` filters. What an event is and how to follow them without a gap is "
        "told in\n[events.md](events.md).",
        ["| type |", "|---|", *rows],
    )


def layers() -> str:
    """Return the table of layers: the order of import-linter's contract, and what each package says of itself."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    lines = setup["importlinter:contract:layers"]["layers"].split("\n")
    names = [name.strip() for line in lines for name in line.split("|") if name.strip()]
    rows = [f"| {_shown(name)} | {_first_paragraph(name)} |" for name in names]
    return "\n".join(["| layer | what lives there |", "|---|---|", *rows])


def _shown(name: str) -> str:
    return f"`{name}/`" if (PACKAGE / name).is_dir() else f"`{name}.py`"


def _first_paragraph(name: str) -> str:
    module = PACKAGE / name / "__init__.py" if (PACKAGE / name).is_dir() else PACKAGE / f"{name}.py"
    return _cell((ast.get_docstring(ast.parse(module.read_text())) or "").split("\n\n")[0])


def contributing() -> str:
    """Return CONTRIBUTING.md with the present table of layers between its marks."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    return re.sub(f"(?<={BEGIN}\n)(.*)(?=\n{END})", lambda _: layers(), text, flags=re.DOTALL)


PAGES: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings,
    "docs/operations.md": operations,
    "docs/errors.md": errors,
    "docs/event-types.md": event_types,
    "CONTRIBUTING.md": contributing,
}


def _leaves(error: type[ProjectManagerError]) -> Iterable[type[ProjectManagerError]]:
    children = error.__subclasses__()
    if error in STATUS or not children:
        yield from ([error] if error is not ProjectManagerError else [])
    for child in children:
        yield from _leaves(child)


def _page(title: str, words: str, table: list[str]) -> str:
    return "\n".join([GENERATED, "", f"# {title}", "", words, "", *table, ""])


def _default(value: str) -> str:
    return f"`{value}`" if value else "(empty)"


def _columns(operation: Operation) -> tuple[str, ...]:
    return _routes(operation), _tool(operation), operation.role.name.lower(), _cell(operation.summary)


def _routes(operation: Operation) -> str:
    return "<br>".join(f"`{route}`" for route in (operation.http, *operation.aliases) if route) or "no"


def _tool(operation: Operation) -> str:
    if operation.tool is None:
        return "no"
    return "yes" if operation.tool.profile is Profile.CORE else "*all*"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    stale = []
    for name, write in PAGES.items():
        path, text = CHECKOUT / name, write()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text)
    for name in stale:
        print(f"{name} {'is out of date: run scripts/docs' if '--check' in arguments else 'written'}")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
