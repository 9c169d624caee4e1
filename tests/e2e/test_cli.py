"""Every command, as a user or a script runs it."""

import json
import os
import pty
import select
import sqlite3
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import click
import pytest
import yaml

from project_manager.cli.main import main
from project_manager.config.settings import SETTINGS
from project_manager.store import revisions
from tests.e2e.command_line import COMMAND, PLAN, CommandLine
from tests.e2e.service import CHECKOUT, TIMEOUT, environment, free_port

DATABASE = "data/tasks.db"
HEAVY = ("alembic", "anyio", "asyncio", "logging", "mcp", "pydantic", "sqlalchemy", "starlette", "uvicorn", "yaml")


def commands(group: click.Group, *before: str) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, *before, name)
        else:
            found[*before, name] = command
    return found


COMMANDS = commands(main)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["config"], ["healthcheck"]], ids=" ".join)
def test_a_command_that_needs_no_database_loads_no_large_library(tmp_path: Path, words: list[str]) -> None:
    assert loaded(tmp_path, *words).isdisjoint({*HEAVY, "project_manager.catalogue"})


@pytest.mark.parametrize("words", [["backup"], ["restore", "gone.db"], ["verify"]], ids=" ".join)
def test_a_command_on_the_file_of_a_database_loads_no_operation(tmp_path: Path, words: list[str]) -> None:
    assert loaded(tmp_path, *words).isdisjoint({"project_manager.catalogue", "pydantic", "starlette", "yaml"})


def loaded(folder: Path, *words: str) -> set[str]:
    """Run a command in a folder without a database, and return the names of the modules that it has loaded."""
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=open('modules', 'w')))"
    run = "from project_manager.__main__ import main; main()"
    subprocess.run(
        [sys.executable, "-c", f"{report}; {run}", *words],
        cwd=folder,
        env=environment(DEFAULT_PORT=str(free_port())),
        capture_output=True,
        timeout=TIMEOUT,
    )
    return set((folder / "modules").read_text().split())


def test_the_command_and_the_module_print_the_same_version(cli: CommandLine) -> None:
    assert cli.says("--version") == cli.says("serve", "--version")
    assert cli.says("--help").startswith("Usage: project-manager [OPTIONS] COMMAND")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_and_the_documentation_explain_a_command_and_each_of_its_flags(words: tuple[str, ...]) -> None:
    page = (CHECKOUT / "docs" / "cli.md").read_text()
    assert f"`{' '.join(words)}" in page
    command = COMMANDS[words]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or isinstance(parameter.type, click.Choice)
            assert f"`{max(parameter.opts, key=len)}" in page


def test_the_documentation_and_the_help_list_the_same_exit_statuses(cli: CommandLine) -> None:
    page = (CHECKOUT / "docs" / "cli.md").read_text()
    said = cli.says("--help").split("Exit status:\n")[1]
    listed = [line.split(maxsplit=1)[0] for line in said.splitlines()]
    assert listed == ["0", "1", "2", "3", "4", "5"]
    for status in listed:
        assert f"| {status} | " in page


def test_a_plan_is_checked_imported_processed_and_exported(cli: CommandLine) -> None:
    looked = cli.says("import", "plan.yaml", "--dry-run")
    assert "+ task    Shop / Checkout / Pay" in looked.splitlines()
    assert "Dry run: 4 created" in looked
    assert cli.says("import", "plan.yaml") == "Imported: 4 created, 0 changed, 0 unchanged, 0 deleted.\n"
    assert cli.says("tasks").splitlines() == [
        "     1  TODO         P2  Cart  (ready)",
        "     2  TODO         P2  Pay  (depends on unfinished task #1)",
    ]
    assert [line.split()[0] for line in cli.says("tasks", "--ready", "--project", "Shop").splitlines()] == ["1"]
    cli.says("export", "--output", "all.yaml")
    assert (cli.folder / "all.yaml").read_text() == cli.says("export")
    assert cli.says("import", "all.yaml", "--db-path", "other.db").startswith("Imported: 4 created")
    assert cli.says("export", "--db-path", "other.db") == cli.says("export")


def test_an_export_replaces_only_a_regular_file_and_only_when_complete(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    document, file, link, pipe = cli.says("export"), *(cli.folder / name for name in ("all.yaml", "link", "pipe"))
    file.write_text("from before")
    cli.refuses(3, "export", "--project", "Attic", "--output", "all.yaml")
    assert file.read_text() == "from before"
    link.symlink_to("all.yaml")
    cli.says("export", "--output", "link")
    assert (link.is_symlink(), file.read_text()) == (True, document)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text)
        cli.says("export", "--output", "pipe")
        assert (pipe.is_fifo(), read.result(10)) == (True, document)
    assert [path.name for path in cli.folder.iterdir() if "unfinished" in path.name] == []


def test_a_plan_is_imported_from_a_pipe(cli: CommandLine) -> None:
    view = json.loads(cli.says("import", "-", "--json", stdin=json.dumps(yaml.safe_load(PLAN))))
    assert (view["created"], view["changes"][0]["name"]) == (4, "Shop")
    tasks = json.loads(cli.says("tasks", "--json"))
    assert [task["name"] for task in tasks["items"]] == ["Cart", "Pay"]
    assert json.loads(cli.says("export", "--format", "json"))["projects"][0]["name"] == "Shop"


def test_an_invalid_plan_lists_one_error_per_line_and_writes_nothing(cli: CommandLine) -> None:
    (cli.folder / "bad.yaml").write_text(
        PLAN.replace("- name: Cart", "- name: Cart\n            statuss: x") + "x: 1\n"
    )
    said = cli.refuses(4, "import", "bad.yaml").splitlines()
    assert said[0] == "bad.yaml:7:13: unknown field `statuss`; did you mean `status`?"
    assert said[1].startswith("bad.yaml:10:1: unknown field `x`")
    assert said[-1] == "2 errors. Nothing was written."
    assert cli.says("export") == "projects: []\n"


def test_an_import_in_a_terminal_shows_its_progress(cli: CommandLine) -> None:
    tasks = [{"name": f"Task {number}", "description": "x" * 80} for number in range(1500)]
    (cli.folder / "large.yaml").write_text(yaml.safe_dump({"standalone_tasks": tasks}))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "import", "large.yaml"], cwd=cli.folder, env=environment(), stdout=subprocess.PIPE, stderr=theirs
    ) as importing:
        os.close(theirs)
        shown = until_closed(ours)
        assert importing.stdout is not None
        assert importing.stdout.read() == b"Imported: 1501 created, 0 changed, 0 unchanged, 0 deleted.\n"
    assert "Reading" in shown
    assert "Writing" in shown
    assert "100%" in shown


def until_closed(terminal: int, encoding: str = "utf-8") -> str:
    shown = b""
    while select.select([terminal], [], [], 4 * TIMEOUT)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the terminal reports in this way that no process has it open for writing
            break
    os.close(terminal)
    return shown.decode(encoding)


NEED_A_DATABASE = (
    ["tasks"],
    ["export"],
    ["backup"],
    ["verify"],
    ["token", "create", "ada"],
    ["token", "list"],
    ["token", "revoke", "ada"],
    ["token", "clear", "--yes"],
)
NO_DATABASE = "No database at nowhere.db; set --db-path or DATABASE_PATH"


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (1, ["verify", "plan.yaml"], "Do not restore this backup"),
        (1, ["migrate", "--db-path", "plan.yaml"], "plan.yaml is not a database"),
        (1, ["tasks", "--db-path", "plan.yaml"], "plan.yaml is not a database"),
        (1, ["backup", "plan.yaml"], "file plan.yaml already exists"),
        (1, ["healthcheck", "--port", "1"], "No response from 127.0.0.1:1: Connection refused."),
        (2, ["frobnicate"], "No such command"),
        (2, ["serve", "--prot", "1"], "--port"),
        (2, ["serve", "--host", "no host"], "--host is 'no host', but must be a host name or an address."),
        (2, ["serve", "--port", "99999"], "--port is '99999', but must be an integer from 0 to 65535."),
        (1, ["migrate", "--db-path", "plan.yaml/a/b.db"], "plan.yaml is not a folder; choose another path."),
        (2, ["config", "--env-file", "nowhere.env"], "cannot be read"),
        (3, ["import", "nowhere.yaml"], "file nowhere.yaml not found"),
        (3, ["export", "--project", "Nowhere"], "project `Nowhere` not found"),
        (3, ["tasks", "--project", "Nowhere"], "project `Nowhere` not found"),
        (3, ["tasks", "--project", "77"], "project 77 not found"),
        (2, ["token", "clear"], "add --yes"),
        *((3, [*words, "--db-path", "nowhere.db"], NO_DATABASE) for words in NEED_A_DATABASE),
        (3, ["tasks", "--db-path", "empty.db"], "no database at empty.db"),
        (3, ["backup", "plan.yaml/x.db"], "folder plan.yaml not found"),
        (3, ["backup", "nowhere/copy.db"], "folder nowhere not found"),
        (3, ["backup", "nowhere/"], "folder nowhere not found"),
        (3, ["token", "revoke", "nobody"], "token 'nobody' not found"),
        (3, ["restore", "nowhere.db"], "backup nowhere.db not found"),
        (3, ["verify", "nowhere.db"], "file nowhere.db not found"),
        (4, ["tasks", "--status", "finnished"], "`status` 'finnished' is not a status"),
        (4, ["tasks", "--status", "TODO", "--status", "finnished"], "`status` 'finnished' is not a status"),
        (4, ["tasks", "--status", "finnished"], "1 error. Nothing was changed."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failed_command_prints_a_sentence_and_sets_the_exit_status(
    cli: CommandLine, status: int, words: list[str], message: str
) -> None:
    (cli.folder / "empty.db").touch()
    before = sorted(cli.folder.rglob("*"))
    answer = cli.refuses(status, *words)
    assert message.lower() in answer.lower()
    assert [path for path in sorted(cli.folder.rglob("*")) if path not in before] == []
    assert (cli.folder / "plan.yaml").read_text() == PLAN


def test_the_hint_of_a_command_names_no_mcp_tool(cli: CommandLine) -> None:
    said = cli.refuses(3, "export", "--project", "Nowhere")
    assert "GET /api/projects" in said
    assert "list_projects" not in said


@pytest.mark.parametrize("command", ["tasks", "export"])
def test_a_project_name_is_case_insensitive_and_a_typo_gets_a_suggestion(cli: CommandLine, command: str) -> None:
    cli.says("import", "plan.yaml")
    assert cli.says(command, "--project", "sHOP") == cli.says(command, "--project", "Shop")
    assert "Cart" in cli.says(command, "--project", " SHOP ")
    assert cli.refuses(3, command, "--project", "Shops").splitlines() == [
        "Project `Shops` not found.",
        "Did you mean `Shop`?",
    ]


def test_names_labels_and_search_words_match_in_each_unicode_form(cli: CommandLine) -> None:
    plan = "projects: [{name: Caf\u00e9, tasks: [{name: 实现支付功能, labels: [Caf\u00e9]}]}]"
    apart = unicodedata.normalize("NFD", "Caf\u00e9")
    cli.says("import", "-", stdin=plan)
    again = cli.says("import", "-", stdin=unicodedata.normalize("NFD", plan))
    assert again == "Imported: 0 created, 0 changed, 2 unchanged, 0 deleted.\n"
    for words in (("--project", apart), ("--label", apart), ("-q", "支付"), ("-q", "功能")):
        assert "实现支付功能" in cli.says("tasks", *words)
    assert cli.says("export", "--project", apart) == cli.says("export", "--project", "CAF\u00c9")
    cli.says("token", "create", "Caf\u00e9", "--role", "operator")
    cli.says("token", "revoke", apart)


def test_tasks_accepts_a_project_id_unless_another_project_has_that_name(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    assert "Cart" in cli.says("tasks", "--project", "1")
    cli.says("import", "-", stdin="projects: [{name: '1', tasks: [{name: Sweep}]}]")
    assert [line.split()[3] for line in cli.says("tasks", "--project", "1").splitlines()] == ["Sweep"]


def test_flags_override_the_environment_and_the_environment_overrides_the_env_file(cli: CommandLine) -> None:
    (cli.folder / "team.env").write_text("MAX_ATTEMPTS=3\nHOST=0.0.0.0\nLOG_LEVEL=ERROR\nCOLOUR=red\n")
    done = cli.run("config", "--env-file", "team.env", "--db-path", "flag.db", "--json", HOST="::1")
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(done.stdout)}
    assert rows["DATABASE_PATH"] == ("flag.db", "flag")
    assert rows["HOST"] == ("::1", "environment")
    assert rows["MAX_ATTEMPTS"] == ("3", "env file team.env")
    assert rows["MCP_TRANSPORT"] == ("sse", "default")
    assert list(rows) == [setting.name for setting in SETTINGS]
    assert "COLOUR" in done.stderr


def test_config_shows_the_effective_settings_without_secrets(cli: CommandLine) -> None:
    said = cli.says("config", DATABASE_URL="sqlite:///secret.db")
    assert "sqlite:///secret.db" not in said
    assert any(line.split() == ["DEFAULT_PORT", "8080", "default"] for line in said.splitlines())


def test_migrate_checks_that_running_releases_run_on_the_new_schema(cli: CommandLine) -> None:
    head = revisions.head()
    assert f"run on schema {head}" in cli.says("migrate", "--check", head, "--check", "9001", "--db-path", "new.db")
    refused = cli.refuses(1, "migrate", "--check", head, "--check", "0001", "--db-path", "new.db")
    assert f"schema 0001 does not run on schema {head}" in refused
    for wrong in ("", "15", "00x5", "9" * 1000):
        assert f"is not a schema such as {head}" in cli.refuses(2, "migrate", "--check", wrong, "--db-path", "new.db")
    assert not (cli.folder / "new.db").exists()


def test_migrate_creates_the_database_and_reports_when_it_is_up_to_date(cli: CommandLine) -> None:
    assert "(none before)" in cli.says("migrate", "--db-path", "new/team.db")
    assert "already" in cli.says("migrate", "--db-path", "new/team.db")


def test_token_create_prints_the_secret_once_and_nothing_else(cli: CommandLine) -> None:
    done = cli.run("token", "create", "ada", "--agent-id", "claude-1")
    secret = done.stdout.strip()
    assert secret.startswith("pm_")
    assert "bound to the agent claude-1" in done.stderr
    assert secret.encode() not in (cli.folder / DATABASE).read_bytes()
    listed = cli.says("token", "list").split()
    assert (listed[:5], len(listed)) == (["1", "agent", "claude-1", "ada", "since"], 6)
    refused = cli.refuses(1, "token", "create", "ada")
    assert refused.startswith("The token name 'ada' is already used.")
    assert "`project-manager token revoke ada`" in refused


def test_the_name_of_a_revoked_token_can_be_used_again(cli: CommandLine) -> None:
    cli.says("token", "create", "ada")
    assert "Token 1 'ada' is revoked." in cli.says("token", "revoke", "ada")
    cli.says("token", "create", "ada")
    first, second = cli.says("token", "list").splitlines()
    assert (" revoked " in first, " revoked " in second) == (True, False)
    assert "Token 2 'ada' is revoked." in cli.says("token", "revoke", "ada")
    assert "Token 2 'ada' is revoked." in cli.says("token", "revoke", "ada")
    assert "Token 1 'ada' is revoked." in cli.says("token", "revoke", "1")


def test_revoking_the_last_token_reports_no_access_and_clearing_reports_open_access(cli: CommandLine) -> None:
    closed = "All tokens are revoked: every request is rejected until `project-manager token create"
    assert "Authentication is disabled" in cli.run("token", "list").stderr
    for name in ("ada", "bob"):
        cli.says("token", "create", name)
    assert cli.run("token", "revoke", "ada").stderr == ""
    assert cli.run("token", "revoke", "bob").stderr.startswith(closed)
    assert cli.run("token", "list").stderr.startswith(closed)
    assert cli.says("token", "clear", "--yes").startswith("2 tokens deleted. Authentication is disabled")
    assert cli.says("token", "list") == ""
    assert "AUTH_REQUIRED is on" in cli.says("token", "clear", "--yes", AUTH_REQUIRED="true")


def test_a_backup_without_a_target_is_written_near_the_database_and_old_ones_are_deleted(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    made = [json.loads(cli.says("backup", "--keep", "2", "--json")) for _ in range(3)]
    assert made[2]["removed"] == [made[0]["path"]]
    assert sorted((cli.folder / "data" / "backups").glob("*.db")) == [
        cli.folder / made[1]["path"],
        cli.folder / made[2]["path"],
    ]
    assert "is intact" in cli.says("verify", made[2]["path"])
    assert "counters, events and checksum;" in cli.says("verify", made[2]["path"])
    assert json.loads(cli.says("verify", "--json"))["integrity"] is True


def test_a_backup_replaces_a_file_only_with_force_and_never_a_database_in_use(cli: CommandLine) -> None:
    cli.says("backup", "copy.db")
    before = (cli.folder / "copy.db").read_bytes()
    cli.says("import", "plan.yaml")
    cli.refuses(1, "backup", "copy.db")
    assert (cli.folder / "copy.db").read_bytes() == before
    cli.says("backup", "copy.db", "--force")
    assert (cli.folder / "copy.db").read_bytes() != before
    assert "is intact" in cli.says("verify", "copy.db")
    (cli.folder / "copy.db-wal").write_text("left over")
    assert "copy.db-wal belongs to another database" in cli.refuses(1, "backup", "copy.db", "--force")
    (cli.folder / "copy.db-wal").unlink()
    with closing(sqlite3.connect(cli.folder / "copy.db")) as used:
        used.execute("BEGIN")
        used.execute("SELECT count(*) FROM tasks").fetchone()
        assert "is open in a process" in cli.refuses(5, "backup", "copy.db", "--force")


def test_a_restore_creates_the_folder_of_the_database(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    cli.says("backup", "good.db")
    cli.says("restore", "good.db", "--db-path", "new/folder/tasks.db")
    assert "is intact" in cli.says("verify", "--db-path", "new/folder/tasks.db")
    assert (cli.folder / "new").stat().st_mode & 0o777 == 0o700
    assert "plan.yaml" in cli.refuses(1, "restore", "good.db", "--db-path", "plan.yaml/tasks.db")


def test_a_backup_to_the_database_itself_is_rejected_without_suggesting_force(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    for force in ([], ["--force"]):
        said = cli.refuses(1, "backup", DATABASE, *force)
        assert "is the database itself; choose another file" in said


def test_verify_finds_damage_and_a_restore_repairs_it(cli: CommandLine) -> None:
    cli.says("import", "plan.yaml")
    before = cli.says("export")
    (cli.folder / "kept").mkdir()
    cli.says("backup", "kept/good.db")
    database = cli.folder / DATABASE
    database.write_bytes(database.read_bytes()[:8192] + b"noise" * 40_000)
    assert "project-manager restore" in cli.refuses(1, "verify")
    assert "damaged" in cli.refuses(1, "tasks")
    done = json.loads(cli.says("restore", "kept/good.db", "--json"))
    assert Path(cli.folder / done["previous"]).read_bytes().endswith(b"noise")
    assert "is intact" in cli.says("verify")
    assert cli.says("export") == before
