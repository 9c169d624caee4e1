"""The group `token` of the command line."""

from pathlib import Path

import click

from project_manager.cli.options import FILE, Source, flags, json_option, settings_options


@click.group()
def token() -> None:
    """Create, list and revoke tokens.

    Once a token exists, every request must be authenticated. This applies also after all tokens are revoked.
    `token clear` disables authentication. Commands with access to the database file, such as `mcp`, need no token.
    """


@token.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "agent", "operator"]),
    default="agent",
    show_default=True,
    help="viewer (read), agent (work on tasks) or operator (full access).",
)
@click.option("--agent-id", metavar="ID", help="Bind the token to this agent id.")
@click.option("--attest", is_flag=True, help="Let it record evidence that it has observed, for a runner or CI.")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the secret to this new file (mode 0600).")
@settings_options
@json_option
def token_create(
    *, name: str, role: str, agent_id: str | None, attest: bool, output: Path | None, source: Source, as_json: bool
) -> int:
    """Create a token called NAME and print its secret once, or write it to a file. Only a hash is stored.

    \b
    Examples:
      project-manager token create ada --role operator
      project-manager token create worker-1 --agent-id claude-1 --output worker-1.token
      project-manager token create ci --agent-id ci --attest
    """
    from project_manager.cli import tokens

    raw = {"name": name, "role": role, **flags(agent_id=agent_id), "attests": attest}
    return tokens.create_token(source.settings(), raw, as_json, output)


@token.command("list")
@settings_options
@json_option
def token_list(*, source: Source, as_json: bool) -> int:
    """List all tokens with their times, including revoked ones. Secrets are not shown."""
    from project_manager.cli import tokens

    return tokens.list_tokens(source.settings(), as_json)


@token.command("revoke")
@click.argument("token")
@settings_options
def token_revoke(*, token: str, source: Source) -> int:
    """Revoke the TOKEN with this id or name. Its name can be used again.

    If no token is left, every request is rejected. Create another token, or disable authentication with `token clear`.
    """
    from project_manager.cli import tokens

    return tokens.revoke_token(source.settings(), token)


@token.command("clear")
@click.option("--yes", is_flag=True, help="Confirm that authentication is disabled.")
@settings_options
def token_clear(*, yes: bool, source: Source) -> int:
    """Delete all tokens, including revoked ones. This disables authentication."""
    from project_manager.cli import tokens

    if not yes:
        raise click.UsageError(
            "this disables authentication: any client that reaches the ports has full access; add --yes to confirm"
        )
    return tokens.clear_tokens(source.settings())
