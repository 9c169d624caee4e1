import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest

from project_manager.cli.main import serve
from project_manager.config.settings import SETTINGS, Setting, load
from tests.architecture.tree import CHECKOUT, PACKAGE, files, nodes

PRODUCTION_ENV = CHECKOUT / "deploy" / "production.env"
HEALTHCHECK = CHECKOUT / "deploy" / "docker-healthcheck.py"

every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)


@cache
def attributes_read_from_settings() -> set[str]:
    """Return names read as `settings.x`, `self._settings.x` or `runtime.settings.x` outside its package."""
    names = set()
    for path in files("project_manager/*.py"):
        if path.is_relative_to(PACKAGE / "config"):
            continue
        for node in nodes(path):
            if isinstance(node, ast.Attribute) and ends_in_settings(node.value):
                names.add(node.attr)
    return names


def ends_in_settings(value: ast.expr) -> bool:
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name.lstrip("_") == "settings"


@cache
def documentation() -> str:
    return "\n".join(path.read_text() for path in files("README.md", "docs/*.md"))


def names_written_in(path: Path) -> set[str]:
    constants = (node for node in nodes(path) if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str)}


@every_setting
def test_a_setting_is_read(setting: Setting) -> None:
    if setting.name == "DATABASE_URL":
        settled = load({}, {"DATABASE_URL": "sqlite:///a.db"}).settings.database_path
        assert settled == Path("a.db"), "read by config.settings itself, which makes it the database's path"
    else:
        read = setting.field in attributes_read_from_settings()
        assert read or setting.name in names_written_in(HEALTHCHECK)


def test_the_flag_of_a_setting_is_the_option_of_serve_that_names_the_setting() -> None:
    options = {option.opts[0]: option.help or "" for option in serve.params if isinstance(option, click.Option)}
    named = {match[1]: flag for flag, words in options.items() if (match := re.search(r"\[([A-Z_]+)[],]", words))}
    assert named == {setting.name: setting.flag for setting in SETTINGS if setting.flag}


@every_setting
def test_a_setting_is_explained_in_the_documentation(setting: Setting) -> None:
    assert f"`{setting.name}`" in documentation()


@every_setting
def test_a_setting_is_listed_in_the_production_env_file(setting: Setting) -> None:
    names = {line.lstrip("# ").partition("=")[0] for line in PRODUCTION_ENV.read_text().splitlines() if "=" in line}
    assert setting.name in names


def test_the_production_env_file_holds_settings_only_and_each_is_valid() -> None:
    assert load({}, {}, PRODUCTION_ENV).warnings == ()
