"""The command line, and the only parser of arguments.

Each command imports its own module when it runs. Therefore `--help`, `--version` and usage errors are answered at
once, and no command waits for the libraries of another.
"""

from pathlib import Path

import click

from project_manager import __version__
from project_manager.cli.options import FILE, PLACE, Commands, flags, json_option, settings_of, settings_options

EXITS = """\b
Exit status:
  0  done
  1  it failed, or the answer is no (damaged, unhealthy)
  2  wrong usage, or a malformed setting
  3  something that the command names does not exist
  4  the input has faults: all are listed, and nothing was done
  5  not now (database busy, in use, moved, not to be checked, or of a newer release; disk full; output refused)
"""


@click.group(
    cls=Commands, epilog=EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="project-manager")
def main() -> None:
    """Hands each task of a team's AI agents to exactly one of them.

    \b
    Begin with:
      project-manager import examples/web-shop.yaml
      project-manager serve
    then open http://127.0.0.1:8080 and point your agents at http://127.0.0.1:8081/mcp.

    Commands work on the database data/tasks.db of the folder that they are typed in, unless --db-path or
    DATABASE_PATH names another. Settings come from flags, then the environment, then --env-file;
    `project-manager config` shows what is in force.
    """


@main.command()
@click.option("--port", type=int, help="Port of the API and the dashboard.  [DEFAULT_PORT]")
@click.option("--mcp-port", type=int, help="Port of the MCP endpoints; the next one unless given.  [MCP_PORT]")
@click.option("--host", help="Address to listen on.  [HOST]")
@click.option("--mcp-transport", metavar="KIND", help="sse, http, stdio or none.  [MCP_TRANSPORT]")
@click.option(
    "--project", type=PLACE, metavar="FILE", help="Import this plan first; with faults the server does not start."
)
@click.option("--no-browser", is_flag=True, help="Taken for compatibility: no browser is ever opened.")
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
    db_path: str | None,
    env_file: Path | None,
) -> int:
    """Run the service: API and dashboard on one port, MCP on the next.

    It runs until SIGTERM or Ctrl-C, then answers what is in flight and ends. A busy port stops the start; it is never
    moved to another.

    \b
    Examples:
      project-manager serve
      project-manager serve --port 9000 --db-path team.db
      project-manager serve --project plan.yaml --host 0.0.0.0
    """
    from project_manager.cli import serve as serving

    given = flags(
        DEFAULT_PORT=port,
        MCP_PORT=mcp_port,
        HOST=host,
        MCP_TRANSPORT=mcp_transport,
        DATABASE_PATH=db_path,
        LOG_LEVEL="DEBUG" if verbose else None,
    )
    return serving.serve(given, env_file, project)


@main.command()
@click.option("-v", "--verbose", is_flag=True, help="Log every call on standard error.  [LOG_LEVEL=DEBUG]")
@settings_options
def mcp(*, verbose: bool, db_path: str | None, env_file: Path | None) -> int:
    """Speak MCP on standard input and output.

    For a client that starts its servers itself. It works on the same database as a running server, and each sees at
    once what the other does. It asks for no token: whoever may open the file may do everything. Standard output
    carries the protocol and nothing else; standard error, which clients show as trouble, nothing below WARNING unless
    LOG_LEVEL is set. A LOG_FILE gets all that LOG_LEVEL lets through.

    Without a path it works on data/tasks.db where that exists, and else on a database of the user:
    $XDG_DATA_HOME/project-manager/tasks.db (~/.local/share). A database that it creates is named on standard error.

    \b
    In the configuration of such a client, which may start it in any folder:
      command: /home/me/project-manager/.venv/bin/project-manager
      args: [mcp, --db-path, /home/me/project-manager/data/tasks.db]
    """
    from project_manager.cli import serve as serving

    given = flags(DATABASE_PATH=db_path, LOG_LEVEL="DEBUG" if verbose else None)
    return serving.speak_mcp(given, env_file)


@main.command()
@settings_options
def migrate(*, db_path: str | None, env_file: Path | None) -> int:
    """Bring the database to the schema of this release.

    It is made if it is not there. Before an existing database is changed a copy is left beside it. All of it happens
    or nothing.
    """
    from project_manager.cli import maintenance

    return maintenance.migrate(flags(DATABASE_PATH=db_path), env_file)


@main.command("import")
@click.argument("file", type=PLACE)
@click.option("--dry-run", is_flag=True, help="Show by name what would happen, and write nothing.")
@click.option(
    "--status",
    type=click.Choice(["keep", "overwrite"]),
    default="keep",
    show_default=True,
    help="Whether tasks that exist take the plan's status. One that an agent holds never does.",
)
@click.option("--prune", is_flag=True, help="Delete what the plan's projects have and the plan does not.")
@settings_options
@json_option
def import_(
    *, file: str, dry_run: bool, status: str, prune: bool, db_path: str | None, env_file: Path | None, as_json: bool
) -> None:
    """Import a plan from FILE (YAML or JSON; - is standard input).

    All or nothing: with any fault, each is listed with its line and column and nothing is written. Importing again
    changes only what the plan says differently; what agents did in the meantime stays.

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
    from project_manager.cli import local, plans

    settings = settings_of(db_path, env_file)
    view = plans.bring_in(settings, file, dry_run=dry_run, status=status, prune=prune, quiet=as_json)
    if as_json:
        local.show_json(view)
    else:
        plans.tell(view)


@main.command()
@click.option("--project", metavar="NAME", help="Only this project; otherwise all of them.")
@click.option(
    "-o", "--output", type=PLACE, default="-", metavar="FILE", help="Write there instead of to standard output."
)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
@settings_options
def export(*, project: str | None, output: str, form: str, db_path: str | None, env_file: Path | None) -> None:
    """Write projects as a plan that import takes.

    It holds everything but leases, events, agents, tokens and earlier versions of knowledge. The same content
    always gives the same bytes, so that plans can be kept under version control.

    \b
    Examples:
      project-manager export --output everything.yaml
      project-manager export --project Shop --format json | jq '.projects[0].epics[].name'
    """
    from project_manager.cli import plans

    plans.take_out(settings_of(db_path, env_file), project, form, output)


@main.command()
@click.argument("target", type=PLACE, metavar="[FILE|FOLDER]", required=False)
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    metavar="N",
    help="In a folder, keep the newest N of its backups; 0 keeps all.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@settings_options
@json_option
def backup(
    *,
    target: str | None,
    keep: int,
    force: bool,
    db_path: str | None,
    env_file: Path | None,
    as_json: bool,
) -> int:
    """Copy the database while it is in use.

    The copy is read back before it counts. Without a target it goes into the folder `backups` beside the database; in
    a folder it gets the time as its name. A FILE that is there is not replaced unless you --force it. Beside each
    backup stands its SHA-256, which `verify` and `sha256sum -c` check.

    \b
    Examples:
      project-manager backup
      project-manager backup /mnt/backups/team.db
      project-manager backup /mnt/backups/ --keep 48
    """
    from project_manager.cli import backups

    return backups.back_up(settings_of(db_path, env_file), target, keep, force, as_json)


@main.command()
@click.argument("file", type=FILE)
@settings_options
@json_option
@click.option("--force", is_flag=True, help="Take FILE although its contents do not match its events.")
def restore(*, file: Path, db_path: str | None, env_file: Path | None, as_json: bool, force: bool) -> int:
    """Put the backup FILE in the place of the database.

    Stop every server on it first. The backup is checked before anything changes, the replacement is one step, and the
    result is read back. The database that was there is kept beside it, and so are logs that SQLite left there. Leases
    end, clients load afresh, and no fence that was ever handed out is handed out again.

    \b
    Example:
      project-manager restore backups/tasks-20261123T100000000Z.db
    """
    from project_manager.cli import backups

    return backups.put_back(settings_of(db_path, env_file), file, force, as_json)


@main.command()
@click.argument("file", required=False, type=FILE)
@settings_options
@json_option
@click.option("--head", "heads", multiple=True, metavar="SEQ:HASH", help="A newest event that was published before.")
def verify(
    *, file: Path | None, db_path: str | None, env_file: Path | None, as_json: bool, heads: tuple[str, ...]
) -> int:
    """Say whether the database, or the backup FILE, is whole.

    It is read from end to end: pages, references between rows, counters, the schema, the hash chain of the events,
    and whether the tables are what the events say; of a backup also its checksum. Exit status 1 when a check has found
    damage or contents that something else has changed, 5 when it cannot be checked now or was made by a newer release.
    """
    from project_manager.cli import backups

    return backups.verify(settings_of(db_path, env_file), file, heads, as_json)


@main.command()
@click.option("--port", type=int, help="Port of the API.  [DEFAULT_PORT]")
@click.option("--host", help="Address that the service listens on.  [HOST]")
@settings_options
@json_option
def healthcheck(
    *,
    port: int | None,
    host: str | None,
    db_path: str | None,
    env_file: Path | None,
    as_json: bool,
) -> int:
    """Ask the running service how it is. Exit status 0 when it is healthy, 1 when not."""
    from project_manager.cli import local, maintenance

    given = flags(DEFAULT_PORT=port, HOST=host, DATABASE_PATH=db_path)
    return maintenance.healthcheck(local.settings_of(given, env_file), as_json)


@main.command()
@settings_options
@json_option
def config(*, db_path: str | None, env_file: Path | None, as_json: bool) -> int:
    """Show every setting, its value and where it came from.

    \b
    Example:
      project-manager config --env-file deploy/production.env
    """
    from project_manager.cli import local, maintenance

    return maintenance.show_config(local.warned(local.load(flags(DATABASE_PATH=db_path), env_file)), as_json)


@main.command()
@click.option("--project", metavar="NAME|ID", help="Only tasks of this project.")
@click.option(
    "--status", metavar="STATUS", multiple=True, help="Only tasks in this status; may be given several times."
)
@click.option("--ready", is_flag=True, help="Only what an agent may claim now.")
@click.option("--holder", metavar="AGENT", help="Only what this agent holds.")
@click.option("--label", help="Only tasks with this label.")
@click.option(
    "-q", "--search", metavar="WORDS", help="Only tasks with these words in name, description or external key."
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
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
    db_path: str | None,
    env_file: Path | None,
    as_json: bool,
) -> int:
    """List tasks: what is ready, who holds what, what waits.

    \b
    Examples:
      project-manager tasks --ready
      project-manager tasks --project Shop --status REVIEW --status BLOCKED
      project-manager tasks --holder claude-1 --json
    """
    from project_manager.cli import lists

    filters = flags(status=list(status) or None, ready=ready or None, holder=holder, label=label, q=search)
    return lists.tasks(settings_of(db_path, env_file), project, filters, limit, as_json)


@main.group()
def token() -> None:
    """Make, list and revoke tokens.

    From the first token on every door asks for one, and revoking them all lets nobody in. `token clear` opens the
    doors again. Tokens are for the ports: whoever may open the database file needs none, here and with `mcp`.
    """


@token.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "agent", "operator"]),
    default="agent",
    show_default=True,
    help="viewer reads, agent works on tasks, operator does everything.",
)
@click.option("--agent-id", metavar="ID", help="Bind it: whoever has it is this agent and no other.")
@click.option(
    "-o", "--output", type=FILE, metavar="FILE", help="Write the secret to this new file, for its owner alone."
)
@settings_options
@json_option
def token_create(
    *,
    name: str,
    role: str,
    agent_id: str | None,
    output: Path | None,
    db_path: str | None,
    env_file: Path | None,
    as_json: bool,
) -> int:
    """Make a token called NAME. Its secret is printed once, or written to a file; only a hash of it is stored.

    \b
    Examples:
      project-manager token create ada --role operator
      project-manager token create worker-1 --agent-id claude-1 --output worker-1.token
    """
    from project_manager.cli import lists

    raw = {"name": name, "role": role, **flags(agent_id=agent_id)}
    return lists.create_token(settings_of(db_path, env_file), raw, as_json, output)


@token.command("list")
@settings_options
@json_option
def token_list(*, db_path: str | None, env_file: Path | None, as_json: bool) -> int:
    """List the tokens, revoked ones included, with their times and without their secrets."""
    from project_manager.cli import lists

    return lists.list_tokens(settings_of(db_path, env_file), as_json)


@token.command("revoke")
@click.argument("token")
@settings_options
def token_revoke(*, token: str, db_path: str | None, env_file: Path | None) -> int:
    """Revoke the TOKEN with this id or name. It opens no door from then on, and its name is free.

    When no token is left nobody gets in: make another, or open the doors with `token clear`.
    """
    from project_manager.cli import lists

    return lists.revoke_token(settings_of(db_path, env_file), token)


@token.command("clear")
@click.option("--yes", is_flag=True, help="Do it: from then on whoever reaches the ports may do everything.")
@settings_options
def token_clear(*, yes: bool, db_path: str | None, env_file: Path | None) -> int:
    """Forget all tokens, revoked ones too, and so open the doors to everybody again."""
    from project_manager.cli import lists

    if not yes:
        raise click.UsageError("from then on whoever reaches the ports may do everything; if that is meant, add --yes")
    return lists.clear_tokens(settings_of(db_path, env_file))
