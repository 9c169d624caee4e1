"""The command healthcheck. It imports little, because an orchestrator can start it every few seconds."""

import http.client
import json

import click

from project_manager.cli.failures import Exit
from project_manager.config.settings import Settings

_WILDCARD_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared with, not bound to


def check(settings: Settings, as_json: bool) -> Exit:
    """Request the health of the running service and print it."""
    host = _WILDCARD_ADDRESSES.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    connection = http.client.HTTPConnection(host, settings.default_port, timeout=settings.health_check_timeout)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        status, body = response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        click.echo(f"No response from {shown}:{settings.default_port}: {cause}.", err=True)
        return Exit.FAILED
    finally:
        connection.close()
    if as_json:
        click.echo(body)
    else:
        click.echo(_health_line(status, body, settings.health_check_verbose), err=status != http.client.OK)
    return Exit.DONE if status == http.client.OK else Exit.FAILED


def _health_line(status: int, body: str, verbose: bool) -> str:
    try:
        health = json.loads(body)
        word, reasons = str(health["status"]), [str(reason) for reason in health.get("reasons", [])]
    except (ValueError, KeyError, TypeError):
        return f"The service returned HTTP status {status}."
    why = f": {'; '.join(reasons)}" if reasons else ""
    return f"{word}{why}" + (f"\n{body}" if verbose else "")
