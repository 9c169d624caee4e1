"""The commands about tokens."""

from pathlib import Path

import click

from project_manager.cli.options import flags, json_option, settings_of, settings_options


@click.group()
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
@settings_options
@json_option
def token_create(
    *,
    name: str,
    role: str,
    agent_id: str | None,
    db_path: str | None,
    env_file: Path | None,
    as_json: bool,
) -> int:
    """Make a token called NAME. Its secret is printed once; only a hash of it is stored.

    \b
    Examples:
      project-manager token create ada --role operator
      project-manager token create worker-1 --agent-id claude-1 > worker-1.token
    """
    from project_manager.terminal import lists

    raw = {"name": name, "role": role, **flags(agent_id=agent_id)}
    return lists.create_token(settings_of(db_path, env_file), raw, as_json)


@token.command("list")
@settings_options
@json_option
def token_list(*, db_path: str | None, env_file: Path | None, as_json: bool) -> int:
    """List the tokens, revoked ones included, with their times and without their secrets."""
    from project_manager.terminal import lists

    return lists.list_tokens(settings_of(db_path, env_file), as_json)


@token.command("revoke")
@click.argument("token")
@settings_options
def token_revoke(*, token: str, db_path: str | None, env_file: Path | None) -> int:
    """Revoke the TOKEN with this id or name. It opens no door from then on, and its name is free.

    When no token is left nobody gets in: make another, or open the doors with `token clear`.
    """
    from project_manager.terminal import lists

    return lists.revoke_token(settings_of(db_path, env_file), token)


@token.command("clear")
@click.option("--yes", is_flag=True, help="Do it: from then on whoever reaches the ports may do everything.")
@settings_options
def token_clear(*, yes: bool, db_path: str | None, env_file: Path | None) -> int:
    """Forget all tokens, revoked ones too, and so open the doors to everybody again."""
    from project_manager.terminal import lists

    if not yes:
        raise click.UsageError("from then on whoever reaches the ports may do everything; if that is meant, add --yes")
    return lists.clear_tokens(settings_of(db_path, env_file))
