"""The command config."""

import click

from project_manager.cli import json_output
from project_manager.cli.failures import Exit
from project_manager.config.settings import SETTINGS, LoadedSettings
from project_manager.config.settings import show as shown


def show(loaded: LoadedSettings, as_json: bool) -> Exit:
    """Print every setting with its value and its source."""
    rows = [(setting.name, shown(setting, loaded.settings), loaded.sources[setting.name]) for setting in SETTINGS]
    if as_json:
        json_output.show([{"name": name, "value": value, "source": source} for name, value, source in rows])
        return Exit.DONE
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, value, source in rows:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return Exit.DONE
