"""Output of commands as JSON."""

from typing import Any

import click
import orjson


def show(value: Any) -> None:
    """Write the value to standard output as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())  # text: click bypasses our streams for bytes
