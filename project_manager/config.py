"""Settings: one table says each name, what it accepts, its default and what it does.

A flag beats the environment, the environment beats an env file, an env file beats the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args
from urllib.parse import unquote, urlsplit

from project_manager import env_file as env_files
from project_manager import paths

McpTransport = Literal["sse", "http", "stdio", "none"]
LogFormat = Literal["json", "text"]
McpTools = Literal["core", "all"]
McpSchema = Literal["plain", "nullable", "strict"]


class ConfigError(Exception):
    """One sentence that names the setting, the value it has and what it accepts."""


class Parser(Protocol):
    """Turns the text of a setting into its value; raises ValueError for what it does not accept."""

    @property
    def accepts(self) -> str: ...

    def __call__(self, text: str) -> object: ...


@dataclass(frozen=True, slots=True)
class Whole:
    least: int
    most: int

    @property
    def accepts(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise ValueError(text)
        number = int(text)
        if not self.least <= number <= self.most:
            raise ValueError(text)
        return number


@dataclass(frozen=True, slots=True)
class Seconds:
    least: float
    most: float

    @property
    def accepts(self) -> str:
        return f"a number of seconds from {self.least:g} to {self.most:g}"

    def __call__(self, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
            raise ValueError(text)
        number = float(text)
        if not self.least <= number <= self.most:
            raise ValueError(text)
        return number


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words in any case; `aliases` are other spellings of them."""

    words: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def accepts(self) -> str:
        return "one of " + ", ".join((*self.words, *(alias for alias, _ in self.aliases)))

    def __call__(self, text: str) -> str:
        known = {word.casefold(): word for word in self.words}
        known |= {alias.casefold(): word for alias, word in self.aliases}
        if text.casefold() not in known:
            raise ValueError(text)
        return known[text.casefold()]


@dataclass(frozen=True, slots=True)
class Switch:
    accepts: str = "true or false"

    def __call__(self, text: str) -> bool:
        word = text.casefold()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
        raise ValueError(text)


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a given form; with `optional`, also nothing."""

    accepts: str
    form: str
    optional: bool = False

    def __call__(self, text: str) -> str:
        if not (self.optional and text == "") and not re.fullmatch(self.form, text, re.IGNORECASE):
            raise ValueError(text)
        return text


@dataclass(frozen=True, slots=True)
class Host:
    """Reader of a host name or an address. It removes the brackets of an IPv6 address."""

    accepts: str = "a host name or an address"

    def __call__(self, text: str) -> str:
        bare = text[1:-1] if re.fullmatch(r"\[[0-9a-f.]*:[0-9a-f:.]*\]", text, re.IGNORECASE) else text
        if not re.fullmatch(r"[a-z0-9_.:-]+", bare, re.IGNORECASE):
            raise ValueError(text)
        return bare


@dataclass(frozen=True, slots=True)
class File:
    accepts: str = f"the path of a file; {paths.RULE}"

    def __call__(self, text: str) -> Path:
        if not text or text.endswith("/") or text == ":memory:" or not text.isprintable():
            raise ValueError(text)
        return Path(paths.expand(text))


@dataclass(frozen=True, slots=True)
class LogFile:
    accepts: str = f"the path of a file, or nothing; {paths.RULE}"

    def __call__(self, text: str) -> str:
        return str(File()(text)) if text else ""


@dataclass(frozen=True, slots=True)
class Listed:
    """Items between commas, each of one form."""

    accepts: str
    form: str

    def __call__(self, text: str) -> tuple[str, ...]:
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        for item in items:
            if not re.fullmatch(self.form, item, re.IGNORECASE):
                raise ValueError(item)
        return tuple(item.lower().rstrip("/") for item in items)


@dataclass(frozen=True, slots=True)
class FileMode:
    """Reader of the permissions of a file. The owner can always read and write it."""

    accepts: str = "permissions of a file in octal, without x: 600, 640, 644 or the like"

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"0?6[0246]{2}", text):
            raise ValueError(text)
        return int(text, 8)


@dataclass(frozen=True, slots=True)
class OrNothing:
    parser: Parser

    @property
    def accepts(self) -> str:
        return self.parser.accepts

    def __call__(self, text: str) -> object:
        return None if text == "" else self.parser(text)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is the text that stands for it when nobody sets it."""

    name: str
    parse: Parser
    default: str
    doc: str
    secret: bool = False

    @property
    def field(self) -> str:
        return self.name.lower()


PORT = Whole(0, 65535)
COUNT = Whole(1, 1_000_000)
COUNT_OR_ZERO = Whole(0, 1_000_000)
PERIOD = Seconds(0.01, 86400)
SWITCH = Switch()
PRINTABLE = r"[^\x00-\x1f\x7f]+"
HOST_NAME = r"[a-z0-9_.:\[\]-]+"
ORIGIN = r"[a-z][a-z0-9+.-]*://[a-z0-9_.\[\]:-]+/?"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", Host(), "127.0.0.1",
            "Address that both ports listen on."),
    Setting("DEFAULT_PORT", PORT, "8080", "Port of the API and the dashboard; 0 takes any free one."),
    Setting("MCP_PORT", OrNothing(PORT), "", "Port of the MCP endpoints; DEFAULT_PORT + 1 unless set."),
    Setting("MCP_TRANSPORT", Choice(("sse", "http", "stdio", "none"), (("streamable-http", "http"),)), "sse",
            "What the MCP port offers: sse (/sse and /mcp), http (/mcp), or no such port (stdio, none)."),
    Setting("MCP_MAX_CONNECTIONS", COUNT, "1000", "MCP connections and sessions held at the same time."),
    Setting("MCP_TOOLS", Choice(get_args(McpTools)), "core",
            "Tools that MCP clients are shown: the core set, or all."),
    Setting("MCP_SCHEMA", Choice(get_args(McpSchema)), "plain",
            "How the schemas of tools mark optional arguments: not required, nullable, or required and nullable."),
    Setting("DATABASE_PATH", File(), "data/tasks.db", "The SQLite database file."),
    Setting("DATABASE_URL", Text("sqlite:///PATH", PRINTABLE, optional=True), "",
            "The database as a URL, instead of DATABASE_PATH: sqlite:///relative.db, sqlite:////absolute.db or "
            "sqlite:///~/in-the-home-folder.db.",
            secret=True),
    Setting("DATABASE_POOL_SIZE", Whole(1, 16), "3", "Threads that read the database at the same time."),
    Setting("QUERY_TIMEOUT_SECONDS", Seconds(0.01, 3600), "5", "A read that takes longer is ended."),
    Setting("AUTO_MIGRATE", SWITCH, "true",
            "Bring an older database up to date at the start, after a backup."),
    Setting("BACKUP_MODE", FileMode(), "600", "Permissions of the backups that the command makes."),
    Setting("LOCK_CLEANUP_INTERVAL", PERIOD, "300", "Longest time between two looks for expired leases."),
    Setting("MAX_ATTEMPTS", COUNT_OR_ZERO, "5",
            "Failed attempts after which a task is BLOCKED; 0 means no cap."),
    Setting("EVENT_RETENTION_DAYS", Whole(1, 36500), "90", "Days that events are kept."),
    Setting("LOG_LEVEL", Choice(LEVELS, (("WARN", "WARNING"),)), "INFO",
            "The least serious log lines that are written."),
    Setting("LOG_FORMAT", Choice(("json", "text")), "json", "Log lines as JSON objects or as text."),
    Setting("LOG_FILE", LogFile(), "",
            "Also write the log to this file; at 10 MB a new one begins, and 5 older ones are kept."),
    Setting("WEBSOCKET_MAX_CONNECTIONS", COUNT_OR_ZERO, "100",
            "WebSocket connections held at the same time."),
    Setting("WEBSOCKET_PING_INTERVAL", PERIOD, "20", "Time between two pings on a WebSocket."),
    Setting("WEBSOCKET_PING_TIMEOUT", PERIOD, "20",
            "A WebSocket that answers no ping for this long is closed."),
    Setting("RATE_LIMIT_PER_SECOND", COUNT_OR_ZERO, "100",
            "Calls a second that one agent may make for long, ten seconds' worth at once; 0 means no limit."),
    Setting("CORS_ORIGINS", Listed("origins like https://a.example between commas, or *", rf"\*|{ORIGIN}"),
            "", "Origins whose pages may call the API from a browser."),
    Setting("CORS_ALLOW_CREDENTIALS", SWITCH, "false", "Let pages of CORS_ORIGINS send cookies."),
    Setting("ALLOWED_HOSTS", Listed("host names between commas, or *", rf"\*|{HOST_NAME}"), "",
            "Host names that requests may ask for beside loopback and HOST; * allows any."),
    Setting("AUTH_REQUIRED", SWITCH, "false",
            "Refuse requests without a token even when no token exists yet."),
    Setting("METRICS_ENABLED", SWITCH, "true", "Offer /metrics and /api/metrics."),
    Setting("EXPECTED_INSTANCES", COUNT_OR_ZERO, "0",
            "Instances that should run. /metrics exports it, and an alert compares it; 0 means not checked."),
    Setting("HEALTH_CHECK_TIMEOUT", Seconds(0.01, 3600), "5",
            "How long the health check waits for each answer."),
    Setting("HEALTH_CHECK_VERBOSE", SWITCH, "false", "Let the health check print each thing it looked at."),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting as a value; `database_path` is the file, whichever setting named it."""

    host: str
    default_port: int
    mcp_port: int
    mcp_transport: McpTransport
    mcp_max_connections: int
    mcp_tools: McpTools
    mcp_schema: McpSchema
    database_path: Path
    database_url: str
    database_pool_size: int
    query_timeout_seconds: float
    auto_migrate: bool
    backup_mode: int
    lock_cleanup_interval: float
    max_attempts: int
    event_retention_days: int
    log_level: str
    log_format: LogFormat
    log_file: str
    websocket_max_connections: int
    websocket_ping_interval: float
    websocket_ping_timeout: float
    rate_limit_per_second: int
    cors_origins: tuple[str, ...]
    cors_allow_credentials: bool
    allowed_hosts: tuple[str, ...]
    auth_required: bool
    metrics_enabled: bool
    expected_instances: int
    health_check_timeout: float
    health_check_verbose: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """`sources` says for each setting's name where its value came from.

    `unknown` lists the names in the env file that are no setting.
    """

    settings: Settings
    sources: Mapping[str, str]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layer:
    source: str
    texts: Mapping[str, str]


def load(flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None = None) -> Loaded:
    """Settle every setting. Flags are keyed by the setting's name; None means not given.

    An empty text counts as not set wherever the default is not itself empty.
    Raises ConfigError for a malformed value, settings that contradict each other, or an unreadable env file.
    """
    try:
        in_file = {} if env_file is None else env_files.read(env_file)
    except env_files.EnvFileError as error:
        raise ConfigError(str(error)) from error
    layers = (
        _Layer("flag", _flag_texts(flags)),
        _Layer("environment", environ),
        _Layer(f"env file {env_file}", in_file),
    )
    chosen = {setting.name: _choose(setting, layers) for setting in SETTINGS}
    values: dict[str, Any] = {setting.field: _parse(setting, chosen[setting.name].texts) for setting in SETTINGS}
    values |= _settle_database(values, chosen, layers)
    values |= _settle_mcp_port(values)
    _refuse_contradictions(values)
    known = {setting.name for setting in SETTINGS}
    return Loaded(
        settings=Settings(**values),
        sources={name: layer.source for name, layer in chosen.items()},
        unknown=tuple(name for name in in_file if name not in known),
    )


def read_environment() -> Mapping[str, str]:
    """The environment of this process, as it is now."""
    return dict(os.environ)


def show(setting: Setting, settings: Settings) -> str:
    """The effective value as one would write it; a secret is not shown."""
    value = getattr(settings, setting.field)
    if setting.secret:
        return "(set, not shown)" if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(setting.parse, FileMode):
        return f"{value:o}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flag_texts(flags: Mapping[str, object]) -> dict[str, str]:
    names = {setting.name for setting in SETTINGS}
    if strangers := sorted(set(flags) - names):
        raise ConfigError(f"No setting is called {', '.join(strangers)}.")
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in flags.items()
        if value is not None
    }


def _choose(setting: Setting, layers: tuple[_Layer, ...]) -> _Layer:
    for layer in layers:
        text = layer.texts.get(setting.name)
        if text is not None and (text.strip() or setting.default == ""):
            return _Layer(layer.source, {setting.name: text.strip()})
    return _Layer("default", {setting.name: setting.default})


def _parse(setting: Setting, texts: Mapping[str, str]) -> object:
    text = texts[setting.name]
    try:
        return setting.parse(text)
    except ValueError:
        value = "malformed" if setting.secret else repr(text)
        raise ConfigError(f"{setting.name} is {value}, but must be {setting.parse.accepts}.") from None


def _settle_database(
    values: Mapping[str, Any], chosen: Mapping[str, _Layer], layers: tuple[_Layer, ...]
) -> dict[str, Any]:
    """The stronger source of DATABASE_PATH and DATABASE_URL names the file."""
    if not values["database_url"]:
        return {}
    rank = {layer.source: number for number, layer in enumerate(layers)} | {"default": len(layers)}
    by_path, by_url = (rank[chosen[name].source] for name in ("DATABASE_PATH", "DATABASE_URL"))
    path = _path_of_url(values["database_url"])
    if by_path == by_url and path != values["database_path"]:
        raise ConfigError("DATABASE_PATH and DATABASE_URL name different databases: set one of them.")
    return {"database_url": ""} if by_path < by_url else {"database_path": path}


def _path_of_url(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        raise ConfigError(
            f"DATABASE_URL has the scheme {parts.scheme!r}, but this version stores its data in SQLite only: "
            "sqlite:///PATH."
        )
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or parts.fragment or not path or path == ":memory:":
        raise ConfigError("DATABASE_URL must name a file, as sqlite:///relative.db or sqlite:////absolute.db.")
    try:
        return Path(paths.expand(path))
    except ValueError as error:
        raise ConfigError(f"DATABASE_URL cannot be used: {error}.") from error


def _settle_mcp_port(values: Mapping[str, Any]) -> dict[str, Any]:
    if values["mcp_port"] is not None:
        return {}
    port: int = values["default_port"]
    if port == PORT.most and values["mcp_transport"] in ("sse", "http"):
        raise ConfigError(f"DEFAULT_PORT is {port}, so MCP_PORT cannot be the next one: set MCP_PORT as well.")
    return {"mcp_port": port and min(port + 1, PORT.most)}


def _refuse_contradictions(values: Mapping[str, Any]) -> None:
    port: int = values["default_port"]
    if port and port == values["mcp_port"] and values["mcp_transport"] in ("sse", "http"):
        raise ConfigError(f"DEFAULT_PORT and MCP_PORT are both {port}, but must be two different ports.")
    if values["cors_allow_credentials"] and "*" in values["cors_origins"]:
        raise ConfigError("CORS_ORIGINS is '*' while CORS_ALLOW_CREDENTIALS is true: list the origins by name.")
