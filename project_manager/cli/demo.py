"""The command `demo` and its options."""

import click


@click.command()
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
    from project_manager.cli import demonstration

    return demonstration.run(url, token, port, speed)
