"""The command `demo`: scripted agents on a given server, or on a temporary one."""

import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import anyio
import click

from project_manager import server
from project_manager.cli.failures import CommandError, Exit
from project_manager.config import settings as config
from project_manager.config.settings import Settings
from project_manager.demo.runner import run_demo
from project_manager.demo.service import Rejected, Service, Unavailable
from project_manager.observability import logging as logs


def run(url: str | None, token: str, port: int, speed: float) -> Exit:
    """Run the demonstration and return the exit status. Raises CommandError."""
    try:
        if url is None:
            _run_with_server(port, speed)
        else:
            anyio.run(_run_until_signal, _service(url, token), speed)
            click.echo("The project stays on the server. Delete it on the dashboard when you no longer need it.")
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        return _end(error)
    return Exit.DONE


def _service(url: str, token: str) -> Service:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"{url!r} is not a URL such as http://localhost:8080.", param_hint="--url")
    return Service(f"{parts.scheme}://{parts.netloc}", token)


async def _run_until_signal(service: Service, speed: float) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_at_signal, tasks.cancel_scope)
        await run_demo(service, speed, click.echo)
        tasks.cancel_scope.cancel()


async def _cancel_at_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def _run_with_server(port: int, speed: float) -> None:
    """Start a server on a temporary database and run the demonstration on it. Raises CommandError, ExceptionGroup."""
    with TemporaryDirectory(prefix="project-manager-demo-") as folder:
        flags = {"DATABASE_PATH": str(Path(folder, "tasks.db")), "DEFAULT_PORT": port, "LOG_LEVEL": "ERROR"}
        settings = config.load(flags, {}).settings  # settings of the environment are for the user's own server
        logs.configure(settings.log_level, "text")
        anyio.run(_serve_and_run, settings, speed, backend_options={"use_uvloop": True})
    click.echo("The server and its database are removed. `project-manager serve` starts one of your own.")


async def _serve_and_run(settings: Settings, speed: float) -> None:
    try:
        sockets = server.bind(settings)
    except server.StartError as refusal:
        used = f"http://127.0.0.1:{settings.default_port}"
        raise CommandError(f"{refusal}. If that is your server, use it with --url {used}") from refusal
    up = anyio.Event()

    def announce(line: str) -> None:
        click.echo(line)
        up.set()

    async def run_when_up() -> None:
        await up.wait()
        await run_demo(Service(f"http://127.0.0.1:{settings.default_port}"), speed, click.echo)
        signal.raise_signal(signal.SIGTERM)  # the server drains and stops, as it does for Ctrl-C

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_when_up)
        await server.run(settings, sockets, announce)
        tasks.cancel_scope.cancel()


def _end(error: Exception) -> Exit:
    """Report an error of the demonstration and return the exit status. Raises CommandError, and unexpected errors."""
    if isinstance(error, Unavailable):
        click.echo(error, err=True)
        return Exit.UNAVAILABLE
    if isinstance(error, Rejected):
        hint = "Set PM_TOKEN to a token with the role agent" if error.code == "unauthorized" else error.hint
        raise CommandError(f"{error}. {hint}" if hint else str(error)) from error
    raise error
