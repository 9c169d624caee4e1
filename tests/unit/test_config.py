from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.config.errors import ConfigError
from project_manager.config.settings import SETTINGS, load, show

BY_NAME = {setting.name: setting for setting in SETTINGS}

ANOTHER_VALUE = {
    "HOST": ("0.0.0.0", "0.0.0.0"),
    "DEFAULT_PORT": ("9000", 9000),
    "MCP_PORT": ("9100", 9100),
    "MCP_TRANSPORT": ("streamable-http", "http"),
    "MCP_MAX_CONNECTIONS": ("7", 7),
    "MCP_TOOLS": ("ALL", "all"),
    "MCP_SCHEMA": ("Strict", "strict"),
    "DATABASE_PATH": ("/srv/tasks.db", Path("/srv/tasks.db")),
    "DATABASE_URL": ("postgresql://pm@db/tasks", "postgresql://pm@db/tasks"),
    "DATABASE_POOL_SIZE": ("16", 16),
    "QUERY_TIMEOUT_SECONDS": ("0.25", 0.25),
    "AUTO_MIGRATE": ("no", False),
    "BACKUP_MODE": ("0640", 0o640),
    "LOCK_CLEANUP_INTERVAL": ("60", 60.0),
    "MAX_ATTEMPTS": ("0", 0),
    "EVENT_RETENTION_DAYS": ("1", 1),
    "LOG_LEVEL": ("debug", "DEBUG"),
    "LOG_FORMAT": ("TEXT", "text"),
    "LOG_FILE": ("/var/log/pm.log", "/var/log/pm.log"),
    "WEBSOCKET_MAX_CONNECTIONS": ("1", 1),
    "WEBSOCKET_PING_INTERVAL": ("1.5", 1.5),
    "WEBSOCKET_PING_TIMEOUT": ("2", 2.0),
    "RATE_LIMIT_PER_SECOND": ("0", 0),
    "CORS_ORIGINS": (
        "https://App.example.com/, http://localhost:3000",
        ("https://app.example.com", "http://localhost:3000"),
    ),
    "CORS_ALLOW_CREDENTIALS": ("TRUE", True),
    "ALLOWED_HOSTS": ("pm.example.com,10.0.0.7:8080", ("pm.example.com", "10.0.0.7:8080")),
    "FORWARDED_ALLOW_IPS": ("10.0.0.0/8, FD00::1", ("10.0.0.0/8", "fd00::1")),
    "AUTH_REQUIRED": ("1", True),
    "METRICS_ENABLED": ("off", False),
    "EXPECTED_INSTANCES": ("3", 3),
    "HEALTH_CHECK_TIMEOUT": ("2.5", 2.5),
    "HEALTH_CHECK_VERBOSE": ("yes", True),
}

MALFORMED = {
    "HOST": ["my host", "http://x"],
    "DEFAULT_PORT": ["80x", "65536", "-1", "8080.0", "٣"],
    "MCP_PORT": ["next", "70000"],
    "MCP_TRANSPORT": ["websocket"],
    "MCP_MAX_CONNECTIONS": ["0"],
    "MCP_TOOLS": ["some"],
    "MCP_SCHEMA": ["loose"],
    "DATABASE_PATH": ["/srv/", ":memory:", "a\nb"],
    "DATABASE_URL": [
        *("mysql://u:hush@db/pm", "sqlite://", "sqlite:///:memory:", "sqlite:///a?mode=ro", "sqlite://[", "tasks.db"),
        *("postgresql://u:hu%zzsh@db/pm", "postgresql://u:hush/x@db/pm", "postgresql://u:hu sh@db/pm"),
        *("postgresql://u:hush@db:port/pm", "postgresql://u:hush@db/pm?sslmode", "postgres://u:hush%00@db/pm"),
    ],
    "DATABASE_POOL_SIZE": ["0", "17"],
    "QUERY_TIMEOUT_SECONDS": ["0", "nan", "inf", "5s", "-1"],
    "AUTO_MIGRATE": ["maybe"],
    "BACKUP_MODE": ["400", "700", "1600", "rw-", "384", "60"],
    "LOCK_CLEANUP_INTERVAL": ["never"],
    "MAX_ATTEMPTS": ["-1", "five"],
    "EVENT_RETENTION_DAYS": ["0"],
    "LOG_LEVEL": ["LOUD"],
    "LOG_FORMAT": ["xml"],
    "LOG_FILE": ["a\x00b"],
    "WEBSOCKET_MAX_CONNECTIONS": ["-1"],
    "RATE_LIMIT_PER_SECOND": ["-1", "fast"],
    "WEBSOCKET_PING_INTERVAL": ["0"],
    "WEBSOCKET_PING_TIMEOUT": ["soon"],
    "CORS_ORIGINS": ["app.example.com", "https://a.example/path"],
    "CORS_ALLOW_CREDENTIALS": ["2"],
    "ALLOWED_HOSTS": ["https://a.example", "a/b"],
    "FORWARDED_ALLOW_IPS": ["proxy", "10.0.0.1/8", "10.0.0.0/33", "*, 10.0.0.1"],
    "AUTH_REQUIRED": ["required"],
    "METRICS_ENABLED": ["enabled"],
    "EXPECTED_INSTANCES": ["-1", "three"],
    "HEALTH_CHECK_TIMEOUT": ["0"],
    "HEALTH_CHECK_VERBOSE": ["very"],
}

NAMES_OF_OTHERS = """
PATH HOME HOSTNAME HOSTS host PORT LANG LC_ALL PWD OLDPWD SHLVL TERM USER LOGNAME SHELL TZ EDITOR TMPDIR
DATABASE_PASS DATABASE_HOST DATABASE_NAME DB_PATH BACKUP_KEEP BACKUP_INTERVAL_SECONDS NOTIFY_SOCKET WATCHDOG_USEC
PROJECT_MANAGER_PORT PROJECT_MANAGER_SERVICE_HOST PROJECT_MANAGER_IMAGE PM_URL PM_TOKEN PUBLISH_PORT JOURNAL_STREAM
MALLOC_ARENA_MAX PYTHONPATH VIRTUAL_ENV INVOCATION_ID STATE_DIRECTORY XDG_DATA_HOME HTTP_PROXY GPG_KEY
"""


def test_every_setting_has_examples() -> None:
    assert set(ANOTHER_VALUE) == set(MALFORMED) == set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_setting_is_read_from_the_environment(name: str) -> None:
    text, value = ANOTHER_VALUE[name]
    loaded = load({}, {name: text})
    assert getattr(loaded.settings, name.lower()) == value
    assert getattr(load({}, {}).settings, name.lower()) != value
    assert loaded.sources[name] == "environment"


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in MALFORMED.items() for text in texts])
def test_a_malformed_value_is_refused_in_one_sentence_that_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {name: text})
    sentence = str(refused.value)
    assert name in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_refusal_names_the_value_and_the_accepted_ones() -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {"DATABASE_POOL_SIZE": "many"})
    assert str(refused.value) == "DATABASE_POOL_SIZE is 'many', but must be an integer from 1 to 16."


def test_a_refusal_names_the_flag_that_set_the_value() -> None:
    for name, text in (("DEFAULT_PORT", "99999"), ("HOST", "no host"), ("MCP_TRANSPORT", "pigeon")):
        with pytest.raises(ConfigError, match=f"^{BY_NAME[name].flag} is '{text}', but must be"):
            load({name: text}, {name: ANOTHER_VALUE[name][0]})
    with pytest.raises(ConfigError, match=r"^DEFAULT_PORT and --mcp-port are both 9000"):
        load({"MCP_PORT": 9000}, {"DEFAULT_PORT": "9000"})
    with pytest.raises(ConfigError, match=r"^--port is 65535, so MCP_PORT has no default"):
        load({"DEFAULT_PORT": 65535}, {})


def test_a_port_that_kubernetes_sets_for_a_service_is_refused_with_both_remedies() -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {"MCP_PORT": "tcp://10.96.0.12:8081"})
    assert str(refused.value) == (
        "MCP_PORT is 'tcp://10.96.0.12:8081', but must be an integer from 0 to 65535; "
        "Kubernetes sets it for a service named mcp: set enableServiceLinks: false, or MCP_PORT itself."
    )


def test_a_password_in_a_database_url_is_never_repeated() -> None:
    for url in MALFORMED["DATABASE_URL"]:
        with pytest.raises(ConfigError) as refused:
            load({}, {"DATABASE_URL": url})
        assert "hush" not in str(refused.value)


def test_a_flag_beats_the_environment_which_beats_the_env_file_which_beats_the_default(tmp_path: Path) -> None:
    env_file = tmp_path / "production.env"
    env_file.write_text("DEFAULT_PORT=1001\nMAX_ATTEMPTS=1\nLOG_LEVEL=ERROR\n")
    loaded = load({"DEFAULT_PORT": 3001}, {"DEFAULT_PORT": "2001", "MAX_ATTEMPTS": "2"}, env_file)
    assert (loaded.settings.default_port, loaded.sources["DEFAULT_PORT"]) == (3001, "flag")
    assert (loaded.settings.max_attempts, loaded.sources["MAX_ATTEMPTS"]) == (2, "environment")
    assert (loaded.settings.log_level, loaded.sources["LOG_LEVEL"]) == ("ERROR", f"env file {env_file}")
    assert (loaded.settings.host, loaded.sources["HOST"]) == ("127.0.0.1", "default")


def test_a_flag_that_was_not_given_does_not_count() -> None:
    assert load({"DEFAULT_PORT": None}, {"DEFAULT_PORT": "2001"}).settings.default_port == 2001


def test_a_flag_that_is_false_counts() -> None:
    assert load({"AUTO_MIGRATE": False}, {"AUTO_MIGRATE": "true"}).settings.auto_migrate is False


def test_a_flag_for_no_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="PORTS"):
        load({"PORTS": 1}, {})


def test_an_empty_text_counts_as_not_set_where_it_has_no_meaning(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text("DEFAULT_PORT=1001\nLOG_FILE=/var/log/pm.log\n")
    loaded = load({}, {"DEFAULT_PORT": " ", "LOG_FILE": ""}, env_file)
    assert loaded.settings.default_port == 1001
    assert loaded.settings.log_file == ""


def test_the_mcp_port_follows_the_port() -> None:
    assert load({}, {"DEFAULT_PORT": "9000"}).settings.mcp_port == 9001
    assert load({}, {"DEFAULT_PORT": "0"}).settings.mcp_port == 0
    with pytest.raises(ConfigError, match="MCP_PORT"):
        load({}, {"DEFAULT_PORT": "65535"})
    assert load({}, {"DEFAULT_PORT": "65535", "MCP_TRANSPORT": "none"}).settings.default_port == 65535


def test_two_listeners_need_two_ports() -> None:
    same = {"DEFAULT_PORT": "9000", "MCP_PORT": "9000"}
    with pytest.raises(ConfigError, match="DEFAULT_PORT and MCP_PORT"):
        load({}, same)
    assert load({}, {**same, "MCP_TRANSPORT": "stdio"}).settings.mcp_port == 9000
    assert load({}, {"DEFAULT_PORT": "0", "MCP_PORT": "0"}).settings.default_port == 0


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///tasks.db", "tasks.db"),
        ("sqlite:////srv/a%20b.db", "/srv/a b.db"),
        ("SQLITE:///data/x.db", "data/x.db"),
    ],
)
def test_a_database_url_names_the_file(url: str, path: str) -> None:
    assert load({}, {"DATABASE_URL": url}).settings.database_path == Path(path)


def test_the_stronger_of_path_and_url_names_the_database(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text("DATABASE_PATH=from-file.db\n")
    by_url = load({}, {"DATABASE_URL": "sqlite:///from-url.db"}, env_file).settings
    assert by_url.database_path == Path("from-url.db")
    by_path = load({"DATABASE_PATH": "from-flag.db"}, {"DATABASE_URL": "sqlite:///from-url.db"}, env_file).settings
    assert (by_path.database_path, by_path.database_url) == (Path("from-flag.db"), "")


def test_a_path_and_a_url_of_the_same_source_must_agree() -> None:
    with pytest.raises(ConfigError, match="DATABASE_PATH and DATABASE_URL"):
        load({}, {"DATABASE_PATH": "a.db", "DATABASE_URL": "sqlite:///b.db"})
    agreed = load({}, {"DATABASE_PATH": "a.db", "DATABASE_URL": "sqlite:///a.db"})
    assert agreed.settings.database_path == Path("a.db")


def test_the_default_path_of_the_image_gives_way_to_a_url(tmp_path: Path) -> None:
    of_image = {"DEFAULT_DATABASE_PATH": "/app/data/tasks.db"}
    loaded = load({}, of_image)
    assert (loaded.settings.database_path, loaded.sources["DATABASE_PATH"]) == (Path("/app/data/tasks.db"), "image")
    assert loaded.warnings == ()
    url = "postgresql://pm@db.example.org/tasks"
    assert load({}, of_image | {"DATABASE_URL": url}).settings.database_address == url
    env_file = tmp_path / "pm.env"
    env_file.write_text("DATABASE_PATH=mine.db\n")
    assert load({}, of_image, env_file).settings.database_path == Path("mine.db")
    with pytest.raises(ConfigError, match="DATABASE_PATH and DATABASE_URL"):
        load({}, of_image | {"DATABASE_PATH": "mine.db", "DATABASE_URL": url})


def test_any_origin_with_credentials_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"CORS_ORIGINS.*CORS_ALLOW_CREDENTIALS"):
        load({}, {"CORS_ORIGINS": "*", "CORS_ALLOW_CREDENTIALS": "true"})
    assert load({}, {"CORS_ORIGINS": "*"}).settings.cors_origins == ("*",)


def test_an_env_file_may_quote_comment_and_export(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text(
        "# production\n\nexport HOST = 0.0.0.0   # all\nLOG_FILE='/var/log/a #1.log'\n"
        'CORS_ORIGINS="https://a.example"  # one\nDATABASE_PATH=/srv/a#b.db\nLOG_LEVEL= # none\n'
    )
    settings = load({}, {}, env_file).settings
    assert settings.host == "0.0.0.0"
    assert settings.log_file == "/var/log/a #1.log"
    assert settings.cors_origins == ("https://a.example",)
    assert settings.database_path == Path("/srv/a#b.db")
    assert settings.log_level == "INFO"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('DATABASE_PATH="a.db" # was "b.db"', "a.db"),
        ("DATABASE_PATH='a.db' # was 'b.db'", "a.db"),
        ('DATABASE_PATH="a b.db"#c', "a b.db"),
        ('export DATABASE_PATH="a # b.db"', "a # b.db"),
        (r'DATABASE_PATH="a \"b\" \\ c.db"', 'a "b" \\ c.db'),
        (r"DATABASE_PATH='a \ b.db'", r"a \ b.db"),
        ('DATABASE_PATH=a"b".db # c', 'a"b".db'),
        ("DATABASE_PATH=a.db\r", "a.db"),
        ("DATABASE_PATH=a\u2028b.db", None),
    ],
)
def test_a_value_in_an_env_file_ends_at_its_closing_quote_or_comment(
    tmp_path: Path, line: str, path: str | None
) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\nLOG_LEVEL=DEBUG\n")
    if path is None:
        with pytest.raises(ConfigError, match="DATABASE_PATH"):  # one value, and not a printable one
            load({}, {}, env_file)
        return
    settings = load({}, {}, env_file).settings
    assert (settings.database_path, settings.log_level) == (Path(path), "DEBUG")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("DEFAULT_PORT: 80", "is not NAME=value"),
        ('HOST="::1" "::2"', 'has text after the closing "'),
        ("HOST='::1'x", "has text after the closing '"),
        ('HOST="::1', 'has no closing "'),
        ("HOST='::1", "has no closing '"),
        (r'HOST="::1\"', 'has no closing "'),
    ],
)
def test_an_env_file_that_is_malformed_is_refused_with_its_line(tmp_path: Path, line: str, fault: str) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text(f"HOST=::1\n{line}\n")
    with pytest.raises(ConfigError, match=rf"Line 2 of the env file .*pm\.env {fault}"):
        load({}, {}, env_file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_PATH", "~/pm/tasks.db"),
        ("DATABASE_URL", "sqlite:///~/pm/tasks.db"),
        ("DATABASE_URL", "sqlite:///%7E/pm/tasks.db"),
        ("LOG_FILE", "~/pm/tasks.db"),
    ],
)
def test_a_path_begins_in_the_home_folder_wherever_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    env_file = tmp_path / "pm.env"
    env_file.write_text(f"{name}={text}\n")
    for settings in (load({}, {name: text}).settings, load({name: text}, {}).settings, load({}, {}, env_file).settings):
        found = settings.log_file if name == "LOG_FILE" else str(settings.database_path)
        assert found == str(tmp_path / "pm" / "tasks.db")


@pytest.mark.parametrize(
    "path", ["$HOME/tasks.db", "${HOME}/tasks.db", "/srv/$USER/tasks.db", "~no-such-user/tasks.db"]
)
def test_a_path_that_would_be_expanded_by_a_shell_only_is_refused(path: str) -> None:
    for name, text in (("DATABASE_PATH", path), ("DATABASE_URL", f"sqlite:///{path}"), ("LOG_FILE", path)):
        with pytest.raises(ConfigError, match=name):
            load({}, {name: text})
    assert load({}, {"DATABASE_PATH": "./~/a$b.db"}).settings.database_path == Path("./~/a$b.db")


@pytest.mark.parametrize(("text", "host"), [("[::1]", "::1"), ("::", "::"), ("[fe80::1]", "fe80::1"), ("a.b", "a.b")])
def test_an_address_is_taken_with_and_without_brackets(text: str, host: str) -> None:
    assert load({}, {"HOST": text}).settings.host == host
    for broken in ("[::1", "::1]", "[a.b]"):
        with pytest.raises(ConfigError, match="HOST"):
            load({}, {"HOST": broken})


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_env_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    env_file = tmp_path / "pm.env"
    if content is not None:
        env_file.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, {}, env_file)


def test_a_name_in_an_env_file_that_is_no_setting_is_warned_about_with_the_nearest_one(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text("DEFAULT_PROT=80\nCOLOUR=red\nHOST=::1\nDATABASE_URL_FILE=\n")
    assert load({}, {}, env_file).warnings == (
        f"Unknown setting DEFAULT_PROT in the env file {env_file}; did you mean DEFAULT_PORT?",
        f"Unknown setting COLOUR in the env file {env_file}.",
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOCK_CLEANUP_INTERVL", "LOCK_CLEANUP_INTERVAL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("MCP_PROT", "MCP_PORT"),
        ("log_level", "LOG_LEVEL"),
        ("PROJECT_MANAGER_HOST", "HOST"),
        ("PM_AUTH_REQUIRED", "AUTH_REQUIRED"),
        ("DATABASE_URLFILE", "DATABASE_URL_FILE"),
    ],
)
def test_a_misspelt_setting_in_the_environment_is_warned_about(name: str, meant: str) -> None:
    assert load({}, {name: "5"}).warnings == (f"Unknown setting {name} in the environment; did you mean {meant}?",)


def test_the_file_of_a_setting_that_is_no_secret_is_warned_about(tmp_path: Path) -> None:
    env_file = tmp_path / "pm.env"
    env_file.write_text("DATABASE_PATH_FILE=/run/path\n")
    unknown = "Unknown setting DATABASE_PATH_FILE in the"
    end = "only secrets can be read from a file. Set DATABASE_PATH itself."
    assert load({}, {}, env_file).warnings == (f"{unknown} env file {env_file}; {end}",)
    assert load({}, {"DATABASE_PATH_FILE": "/run/path"}).warnings == (f"{unknown} environment; {end}",)


def test_a_name_of_another_program_in_the_environment_is_no_misspelt_setting() -> None:
    assert load({}, dict.fromkeys(NAMES_OF_OTHERS.split(), "1")).warnings == ()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_shown_value_can_be_set_again(name: str) -> None:
    setting = BY_NAME[name]
    settings = load({}, {name: ANOTHER_VALUE[name][0]}).settings
    if setting.secret:
        assert ANOTHER_VALUE[name][0] not in show(setting, settings)
    else:
        again = load({}, {name: show(setting, settings)}).settings
        assert getattr(again, setting.field) == getattr(settings, setting.field)


@given(name=st.sampled_from(sorted(BY_NAME)), text=st.text(max_size=40))
def test_any_text_is_a_value_or_a_refusal(name: str, text: str) -> None:
    with suppress(ConfigError):
        assert getattr(load({}, {name: text}).settings, name.lower()) is not None
