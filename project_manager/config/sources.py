"""Sources of settings: flags, the environment, env files, and files that hold a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from project_manager.config import paths
from project_manager.config.errors import ConfigError

SECRET_BYTES = 64 * 1024
FILE_SUFFIX = "_FILE"
PREFIXES = ("PROJECT_MANAGER_", "PM_")

# The environment also has names of other programs. `LOG_LEVL` counts as a misspelling, `DATABASE_PASS` does not.
_SIMILARITY = 0.86
_MIN_SIMILAR_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings. `texts` maps names of settings to their texts."""

    name: str
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Value:
    """The text of a setting. `layer` names its source, and `source` adds the file when the value is read from one."""

    text: str
    layer: str
    source: str


def resolve_setting(layers: Iterable[Layer], name: str, *, default: str, secret: bool) -> Value:
    """Return the text of a setting from the first layer that sets it, else the default. Raises ConfigError.

    An empty text counts as not set unless the default is empty. NAME_FILE names the file with the value of a secret.
    """
    for layer in layers:
        text = layer.texts.get(name)
        file = layer.texts.get(name + FILE_SUFFIX, "").strip() if secret else ""
        # The two values of a secret may differ, and neither has precedence.
        if file and text and text.strip():
            raise ConfigError(f"{name} and {name}{FILE_SUFFIX} are both set in the {layer.name}; set only one.")
        if file:
            return Value(_read_secret(name + FILE_SUFFIX, file), layer.name, f"{layer.name}, file {file}")
        if text is not None and (text.strip() or default == ""):
            return Value(text.strip(), layer.name, layer.name)
    return Value(default, "default", "default")


def _read_secret(name: str, file: str) -> str:
    """Return the stripped content of a file. Raises ConfigError with a message that never shows the content."""
    try:
        with Path(paths.expand(file)).open("rb") as opened:
            content = opened.read(SECRET_BYTES + 1)
        text = content.decode().strip()
    except ValueError as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(f"Cannot read the file {file!r} of {name}: {reason}.") from error
    except OSError as error:
        raise ConfigError(f"Cannot read the file {file!r} of {name}: {error.strerror}.") from error
    if len(content) > SECRET_BYTES:
        raise ConfigError(f"The file {file!r} of {name} exceeds {SECRET_BYTES} bytes.")
    if not text:
        raise ConfigError(f"The file {file!r} of {name} is empty; write the value into it, or unset {name}.")
    return text


def unknown_setting_warnings(env_file: Layer, environment: Layer, known: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is not a setting.

    A name of the environment counts only if it resembles a setting, or is NAME_FILE of a setting that is not a secret.
    """
    names = sorted(known)
    unknown = [name for name in dict.fromkeys((*env_file.texts, *environment.texts)) if name not in names]
    remedies = {name: _suggestion(name, names) for name in unknown}
    return [
        f"Unknown setting {name} in the {layer.name}{remedy or '.'}"
        for layer in (env_file, environment)
        for name, remedy in remedies.items()
        if name in layer.texts and (remedy or layer is env_file)
    ]


def _suggestion(name: str, known: list[str]) -> str:
    """Return the end of the sentence about an unknown name, or an empty text when it resembles no setting."""
    value = name.removesuffix(FILE_SUFFIX)
    if value != name and value in known:
        return f"; only secrets can be read from a file. Set {value} itself."
    bare = upper = name.upper()
    for prefix in PREFIXES:
        bare = bare.removeprefix(prefix)
    # Without our prefix, a short name may resemble a setting by chance.
    if len(bare) < _MIN_SIMILAR_LENGTH and bare == upper:
        return ""
    guesses = get_close_matches(bare, known, 1, _SIMILARITY)
    return f"; did you mean {guesses[0]}?" if guesses else ""
