from pathlib import Path

import pytest

from project_manager.config.errors import ConfigError
from project_manager.config.settings import load

NAMES = {
    "postgresql://db/pm": "postgresql://db/pm",
    "postgres://db": "postgresql://db/",
    "postgresql://": "postgresql:///",
    "postgresql://u:hush@db:5433/pm?sslmode=verify-full&sslpassword=hush": "postgresql://db:5433/pm",
    "postgresql://u:h%40u%2Fsh?#:@db/pm": "postgresql://db/pm",
    "postgresql://hush@a:5432,b:5433/pm?target_session_attrs=read-write": "postgresql://a:5432,b:5433/pm",
    "postgresql://hush@[::1]:5432,[fe80::1%eth0]/pm": "postgresql://[::1]:5432,[fe80::1%eth0]/pm",
    "postgresql:///pm?host=/run/postgresql&user=u&password=hush": "postgresql:///pm",
    "postgresql://u:hush@%2Frun%2Fpostgresql/pm": "postgresql://%2Frun%2Fpostgresql/pm",
}


@pytest.mark.parametrize(("url", "name"), NAMES.items())
def test_a_url_of_a_server_stays_as_it_is_and_its_name_has_no_secret(url: str, name: str) -> None:
    settings = load({}, {"DATABASE_URL": url}).settings
    assert (settings.database_url, settings.database_name) == (url, name)
    assert "hush" not in settings.database_name


def test_the_name_of_a_file_is_its_path() -> None:
    for variables in ({"DATABASE_PATH": "/srv/tasks.db"}, {"DATABASE_URL": "sqlite:////srv/tasks.db"}):
        settings = load({}, variables).settings
        assert (settings.database_name, settings.database_url) == ("/srv/tasks.db", "")


def test_a_server_and_a_path_follow_the_precedence_of_their_sources(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text("DATABASE_PATH=from-file.db\n")
    url = "postgresql://db/pm"
    assert load({}, {"DATABASE_URL": url}, env_file).settings.database_name == url
    by_flag = load({"DATABASE_PATH": "from-flag.db"}, {"DATABASE_URL": url}).settings
    assert (by_flag.database_name, by_flag.database_url) == ("from-flag.db", "")
    with pytest.raises(ConfigError, match="DATABASE_PATH and DATABASE_URL name different databases"):
        load({}, {"DATABASE_URL": url, "DATABASE_PATH": "a.db"})
