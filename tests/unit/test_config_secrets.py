from pathlib import Path

import pytest

from project_manager.config.errors import ConfigError
from project_manager.config.settings import SETTINGS, load, show


def secret_in(folder: Path, text: str = "sqlite:///hush.db\n") -> str:
    path = folder / "secret"
    path.write_text(text)
    return str(path)


def test_a_secret_is_read_from_the_file_that_the_setting_with_file_names(tmp_path: Path) -> None:
    secret = secret_in(tmp_path)
    loaded = load({}, {"DATABASE_URL_FILE": secret, "DATABASE_URL": ""})
    assert loaded.settings.database_path == Path("hush.db")
    assert loaded.sources["DATABASE_URL"] == f"environment, file {secret}"
    assert loaded.sources["DATABASE_PATH"] == loaded.sources["DATABASE_URL"]
    database_url = next(setting for setting in SETTINGS if setting.name == "DATABASE_URL")
    assert "hush" not in show(database_url, loaded.settings)
    env_file = tmp_path / "pm.env"
    env_file.write_text(f"DATABASE_URL_FILE={secret}\nDATABASE_PATH=weaker.db\n")
    with pytest.raises(ConfigError, match="name different databases"):
        load({}, {}, env_file)
    env_file.write_text(f"DATABASE_URL_FILE={secret}\n")
    assert load({}, {}, env_file).settings.database_path == Path("hush.db")
    assert load({}, {"DATABASE_PATH": "stronger.db"}, env_file).settings.database_path == Path("stronger.db")
    assert load({}, {"DATABASE_URL": "sqlite:///stronger.db"}, env_file).settings.database_path == Path("stronger.db")


def test_the_url_of_a_server_is_read_from_a_file_and_not_shown(tmp_path: Path) -> None:
    url = "postgresql://u:hush@db/pm"
    settings = load({}, {"DATABASE_URL_FILE": secret_in(tmp_path, url + "\n")}).settings
    assert (settings.database_url, settings.database_name) == (url, "postgresql://db/pm")
    database_url = next(setting for setting in SETTINGS if setting.name == "DATABASE_URL")
    assert show(database_url, settings) == "(set, not shown)"


def test_a_secret_in_a_file_that_cannot_be_used_is_refused_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfehush")
    (tmp_path / "large").write_text("hush" * 20_000)
    (tmp_path / "empty").write_text(" \n")
    refusals = {
        "nowhere": "No such file",
        "folder": "Is a directory",
        "binary": "not UTF-8 text",
        "large": "exceeds 65536 bytes",
        "empty": "is empty",
        "$HOME/secret": "is not expanded",
    }
    for name, reason in refusals.items():
        with pytest.raises(ConfigError, match=rf"file .*{name[1:]}' of DATABASE_URL_FILE.*{reason}") as refused:
            load({}, {"DATABASE_URL_FILE": str(tmp_path / name)})
        assert "hush" not in str(refused.value)
    malformed = secret_in(tmp_path, "postgresql://u:hush@db:port/pm")
    with pytest.raises(ConfigError, match="DATABASE_URL") as refused:
        load({}, {"DATABASE_URL_FILE": malformed})
    assert "hush" not in str(refused.value)


def test_a_secret_and_its_file_in_one_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL and DATABASE_URL_FILE are both set in the environment"):
        load({}, {"DATABASE_URL": "sqlite:///a.db", "DATABASE_URL_FILE": secret_in(tmp_path)})


def test_a_setting_that_is_no_secret_is_not_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("::1")
    loaded = load({}, {"HOST_FILE": str(tmp_path / "host")})
    assert loaded.settings.host == "127.0.0.1"
