"""Files of NAME=value lines, in the syntax of docker compose without its expansion of variables."""

import re
from pathlib import Path

from project_manager.config.errors import ConfigError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?")
_ESCAPED = re.compile(r"\\([\"\\$])")
_COMMENT = re.compile(r"(?:^|\s)#")


def read(path: Path) -> dict[str, str]:
    """Return the values by name. The last line with a name takes effect. Raises ConfigError."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigError(f"The env file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The env file {path} cannot be read: not UTF-8 text.") from error
    values = {}
    for number, line in enumerate((line.strip() for line in lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"Line {number} of the env file {path} is not NAME=value.")
        try:
            values[match[1]] = _value(match[2])
        except ValueError as error:
            raise ConfigError(f"Line {number} of the env file {path} {error}.") from None
    return values


def _value(text: str) -> str:
    """Return the value without quotes and comment. In double quotes a backslash escapes `"`, `$` and itself."""
    if not text.startswith(('"', "'")):
        return _COMMENT.split(text, maxsplit=1)[0].rstrip()
    is_double = text.startswith('"')
    form = _DOUBLE if is_double else _SINGLE
    if form.match(text) is None:
        raise ValueError(f"has no closing {text[0]}")
    match = form.fullmatch(text)
    if match is None:
        raise ValueError(f"has text after the closing {text[0]}")
    return _ESCAPED.sub(r"\1", match[1]) if is_double else match[1]
