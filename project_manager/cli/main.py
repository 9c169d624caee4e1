"""The command line, which parses all arguments. The group `token` is in `token_group.py`.

Each command imports its own module when it runs, so that `--help` and usage errors wait for no library.
"""

from pathlib import Path

import click

from project_manager import __version__
from project_manager.cli.options import FILE, TEXT_PATH, Commands, Source, flags, json_option, settings_options
from project_manager.cli.token_group import token

EXITS = """\b
Exit status:
  0  success
  1  failure, or a failed check (damaged, unhealthy)
  2  usage error or invalid setting
  3  not found (database, file, folder, project or token)
  4  invalid input: all errors are listed, nothing was changed
  5  unavailable (database busy, in use, replaced, not checkable or of a newer release; disk full; output closed)
"""


@click.group(
    cls=Commands, epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="project-manager")
def main() -> None:
    """Task queue for AI agents: each task is leased to one agent at a time.

    \b
    Quick start:
      project-manager demo     watch six scripted agents for five minutes
      project-manager serve    start the service on data/tasks.db
    Then open http://127.0.0.1:8080 and connect your agents to http://127.0.0.1:8081/mcp.

    The default database is data/tasks.db in the current folder; --db-path or DATABASE_PATH sets another.
    Flags take precedence over the environment, and the environment over --env-file.
    `project-manager config` shows the effective settings.
    """


@main.command()
@click.option("--port", type=int, help="Port of the API and the dashboard.  [DEFAULT_PORT]")
@click.option("--mcp-port", type=int, help="Port of the MCP endpoints; default: DEFAULT_PORT + 1.  [MCP_PORT]")
@click.option("--host", help="Address to listen on.  [HOST]")
@click.option("--mcp-transport", metavar="KIND", help="sse, http, stdio or none.  [MCP_TRANSPORT]")
@click.option(
    "--project",
    type=TEXT_PATH,
    metavar="FILE",
    help="Import this plan first; the server does not start if it is invalid.",
)
@click.option("--no-browser", is_flag=True, help="Accepted for compatibility; has no effect.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.  [LOG_LEVEL=DEBUG]")
@click.version_option(__version__, prog_name="project-manager")
@settings_options
def serve(
    *,
    port: int | None,
    mcp_port: int | None,
    host: str | None,
    mcp_transport: str | None,
    project: str | None,
    no_browser: bool,
    verbose: bool,
    source: Source,
) -> int:
    """Run the service: API and dashboard on one port, MCP on the next.

    SIGTERM or Ctrl-C stops the service: it completes the requests in progress and exits. If a port is in use, the
    service does not start. It never uses another port.

    \b
    Examples:
      project-manager serve
      project-manager serve --port 9000 --db-path team.db
      project-manager serve --project plan.yaml --host 0.0.0.0
    """
    from project_manager.cli import serve as serving

    level = "DEBUG" if verbose else None
    given = source.flags(DEFAULT_PORT=port, MCP_PORT=mcp_port, HOST=host, MCP_TRANSPORT=mcp_transport, LOG_LEVEL=level)
    return serving.serve(given, source.env_file, project)


@main.command()
@click.option("-v", "--verbose", is_flag=True, help="Log every call on standard error.  [LOG_LEVEL=DEBUG]")
@click.option("--agent-id", metavar="ID", help="Agent id of all calls; auto: the service issues one.")
@click.option("--project", metavar="NAME|ID", help="Project of all calls that take one.")
@settings_options
def mcp(*, verbose: bool, agent_id: str | None, project: str | None, source: Source) -> int:
    """Serve MCP on standard input and output.

    For clients that start their servers. The command can share the database with a running server; changes are visible
    to both at once. It needs no token: access to the database file is full access. Standard output carries only the
    protocol. Standard error gets warnings and errors only, unless LOG_LEVEL is set. A LOG_FILE gets all lines of
    LOG_LEVEL.

    Without a path the database is data/tasks.db if that file exists, else one database per user:
    $XDG_DATA_HOME/project-manager/tasks.db (~/.local/share). Standard error names a database that is created.

    \b
    Example configuration of a client, which may start the command in any folder:
      command: /home/me/project-manager/.venv/bin/project-manager
      args: [mcp, --db-path, /home/me/project-manager/data/tasks.db]
    """
    from project_manager.cli import serve as serving

    given = source.flags(LOG_LEVEL="DEBUG" if verbose else None)
    return serving.serve_mcp(given, source.env_file, agent_id, project)


@main.command()
@click.option("--url", envvar="PM_URL", metavar="URL", help="Use this server instead of a temporary one.  [PM_URL]")
@click.option("--token", envvar="PM_TOKEN", default="", help="Token for --url, with the role agent.  [PM_TOKEN]")
@click.option(
    "--port", type=click.IntRange(1, 65534), default=8080, show_default=True, help="Port of the temporary server."
)
@click.option(
    "--speed", type=click.FloatRange(0.1, 100), default=1, show_default=True, help="Run this many times as fast."
)
def demo(*, url: str | None, token: str, port: int, speed: float) -> int:
    """Watch six scripted agents work for five minutes.

    The agents share a project of their own. One fails, one stops responding, one asks a question, and one submits its
    work for review. The dashboard shows how leases expire and how other agents continue the tasks.

    Without --url, the command starts a server on a temporary database, and removes both at the end. With --url, the
    project stays on that server. Each run has a project and agent ids of its own. Ctrl-C stops the demo.

    \b
    Examples:
      project-manager demo
      project-manager demo --port 9000 --speed 2
      project-manager demo --url http://localhost:8080
    """
    from project_manager.cli import demo as demonstration

    return demonstration.run(url, token, port, speed)


@main.command()
@click.option("--check", "running", multiple=True, metavar="SCHEMA", help="Only check a running release (repeatable).")
@settings_options
def migrate(*, running: tuple[str, ...], source: Source) -> int:
    """Migrate the database to the schema of this release.

    A missing database is created. An existing database is copied before the migration. The migration is one
    transaction. --check changes nothing. It fails if the release with this schema does not run on the new one.
    """
    from project_manager.cli import migrate as migration

    if running:
        return migration.check_running_releases(running)
    return migration.migrate(source.flags(), source.env_file)


@main.command("import")
@click.argument("file", type=TEXT_PATH)
@click.option("--dry-run", is_flag=True, help="Show the changes without writing them.")
@click.option(
    "--status",
    type=click.Choice(["keep", "overwrite"]),
    default="keep",
    show_default=True,
    help="Whether existing tasks take the status of the plan. Leased tasks keep theirs.",
)
@click.option("--prune", is_flag=True, help="Delete epics and tasks of the plan's projects that are not in the plan.")
@settings_options
@json_option
def import_(*, file: str, dry_run: bool, status: str, prune: bool, source: Source, as_json: bool) -> None:
    """Import a plan from FILE (YAML or JSON; - is standard input).

    An invalid plan changes nothing: every error is listed with its line and column. A repeated import changes only
    fields that differ; the work of agents stays.

    \b
    A plan:
      projects:
        - name: Shop
          epics:
            - name: Checkout
              tasks:
                - name: Take card payments
                  priority: 1
                  labels: [backend]
                - name: Send receipts
                  depends_on: [Take card payments]

    \b
    Examples:
      project-manager import plan.yaml --dry-run
      project-manager import plan.yaml
      curl -s https://example.org/plan.json | project-manager import - --json
    """
    from project_manager.cli import json_output, plans

    settings = source.settings()
    view = plans.import_file(settings, file, dry_run=dry_run, status=status, prune=prune, quiet=as_json)
    if as_json:
        json_output.show(view)
    else:
        plans.report(view)


@main.command()
@click.option("--project", metavar="NAME", help="Export only this project.")
@click.option(
    "-o", "--output", type=TEXT_PATH, default="-", metavar="FILE", help="Write to FILE instead of standard output."
)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@settings_options
def export(*, project: str | None, output: str, form: str, source: Source) -> None:
    """Export projects as a plan for `import`.

    The plan does not contain leases, events, agents, tokens or earlier versions of knowledge. Equal content gives
    equal bytes, so plans can be kept under version control.

    \b
    Examples:
      project-manager export --output everything.yaml
      project-manager export --project Shop --format json | jq '.projects[0].epics[].name'
    """
    from project_manager.cli import plans

    plans.export_file(source.settings(), project, form, output)


@main.command()
@click.argument("target", type=TEXT_PATH, metavar="[FILE|FOLDER]", required=False)
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    metavar="N",
    help="Keep the newest N backups of a folder; 0 keeps all.",
)
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
@settings_options
@json_option
def backup(*, target: str | None, keep: int, force: bool, source: Source, as_json: bool) -> int:
    """Back up the database while it is in use, and verify the copy.

    The default target is the folder `backups` beside the database. In a folder, the name of the backup contains the
    time. An existing FILE is replaced only with --force. A checksum file beside the backup serves `verify` and
    `sha256sum -c`.

    \b
    Examples:
      project-manager backup
      project-manager backup /mnt/backups/team.db
      project-manager backup /mnt/backups/ --keep 48
    """
    from project_manager.cli import backups

    return backups.back_up(source.settings(), target, keep, force, as_json)


@main.command()
@click.argument("file", type=FILE)
@settings_options
@json_option
@click.option("--force", is_flag=True, help="Restore FILE even if its contents do not match its events.")
def restore(*, file: Path, source: Source, as_json: bool, force: bool) -> int:
    """Replace the database with the backup FILE.

    Stop all servers of this database first. The backup is verified before the replacement, which is atomic, and the
    result is verified again. The previous database and its SQLite logs are kept beside the new one. All leases end,
    clients reload their data, and fences are never reused.

    \b
    Example:
      project-manager restore backups/tasks-20261123T100000000Z.db
    """
    from project_manager.cli import backups

    return backups.restore_backup(source.settings(), file, force, as_json)


@main.command()
@click.argument("file", required=False, type=FILE)
@settings_options
@json_option
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="SEQ:HASH",
    help="A published head that the hash chain must contain; repeatable.",
)
def verify(*, file: Path | None, source: Source, as_json: bool, heads: tuple[str, ...]) -> int:
    """Check the database or the backup FILE.

    The checks cover pages, foreign keys, counters, the schema, the hash chain of the events, the tables against the
    events, and the checksum of a backup. Exit status 1: damaged, or changed by another program; 5: not checkable now,
    or of a newer release.
    """
    from project_manager.cli import backups

    return backups.verify(source.settings(), file, heads, as_json)


@main.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
def copy(*, source: str, target: str, as_json: bool) -> int:
    """Copy the database FROM to the new database TO, on SQLite or on PostgreSQL.

    FROM and TO are each a file or a URL. Stop all servers of both databases first. The copy keeps every id, fence,
    event, lease and token, so that clients continue where they stopped. It is compared with FROM row by row before it
    is kept, and FROM stays unchanged. TO must be a new file, or a database without rows.

    A password in a URL is visible to other users of this machine: use PGPASSFILE or PGPASSWORD.

    \b
    Examples:
      project-manager copy data/tasks.db postgresql://pm@db.example.org/tasks
      project-manager copy postgresql://pm@db.example.org/tasks data/tasks.db
    """
    from project_manager.cli import copying

    return copying.copy(source, target, as_json)


@main.command()
@click.option("--port", type=int, help="Port of the API.  [DEFAULT_PORT]")
@click.option("--host", help="Address of the service.  [HOST]")
@settings_options
@json_option
def healthcheck(*, port: int | None, host: str | None, source: Source, as_json: bool) -> int:
    """Check the health of the running service. Exit status 0: healthy, 1: unhealthy."""
    from project_manager.cli import healthcheck, settings

    loaded = settings.load_with_warnings(source.flags(DEFAULT_PORT=port, HOST=host), source.env_file)
    return healthcheck.check(loaded.settings, as_json)


@main.command()
@settings_options
@json_option
def config(*, source: Source, as_json: bool) -> int:
    """Show every setting with its value and its source.

    \b
    Example:
      project-manager config --env-file deploy/production.env
    """
    from project_manager.cli import config, settings

    return config.show(settings.load_with_warnings(source.flags(), source.env_file), as_json)


@main.command()
@click.option("--project", metavar="NAME|ID", help="Only tasks of this project.")
@click.option("--status", metavar="STATUS", multiple=True, help="Only tasks in this status; repeatable.")
@click.option("--ready", is_flag=True, help="Only ready tasks.")
@click.option("--holder", metavar="AGENT", help="Only tasks leased by this agent.")
@click.option("--label", help="Only tasks with this label.")
@click.option(
    "-q", "--search", metavar="WORDS", help="Only tasks with these words in name, description or external key."
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number of tasks.")
@settings_options
@json_option
def tasks(
    *,
    project: str | None,
    status: tuple[str, ...],
    ready: bool,
    holder: str | None,
    label: str | None,
    search: str | None,
    limit: int,
    source: Source,
    as_json: bool,
) -> int:
    """List tasks with their status, lease and blockers.

    \b
    Examples:
      project-manager tasks --ready
      project-manager tasks --project Shop --status REVIEW --status BLOCKED
      project-manager tasks --holder claude-1 --json
    """
    from project_manager.cli import tasks

    filters = flags(status=list(status) or None, ready=ready or None, holder=holder, label=label, q=search)
    return tasks.list_tasks(source.settings(), project, filters, limit, as_json)


main.add_command(token)
