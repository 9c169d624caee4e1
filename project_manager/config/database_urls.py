"""URLs of PostgreSQL databases. No message about one contains its user, its password or its parameters."""

import re

SYNTAX = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

_SCHEME = re.compile(r"postgres(ql)?://")
_ENCODED = "%[0-9a-fA-F]{2}"
_HOST = rf"(?:\[[0-9a-fA-F:.]+(?:%[^\s\]/]+)?\]|(?:[^\s:/?#@\[\],%]|{_ENCODED})*)(?::[0-9]{{0,5}})?"
_WORD = rf"(?:[^\s&=%]|{_ENCODED})*"
_URL = re.compile(
    rf"postgres(?:ql)?://"
    rf"(?:(?:[^\s:/@%]|{_ENCODED})*(?::(?:[^\s/@%]|{_ENCODED})*)?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)"
    rf"(?:/(?P<database>(?:[^\s/?#@%]|{_ENCODED})*))?"
    rf"(?:\?{_WORD}={_WORD}(?:&{_WORD}={_WORD})*)?"
)


def is_postgresql(url: str) -> bool:
    """Return whether the URL has a scheme of PostgreSQL."""
    return _SCHEME.match(url) is not None


def is_valid(url: str) -> bool:
    """Return whether the URL has the syntax of libpq, with one host or several.

    libpq repeats a malformed URL in its error message. It gets none.
    """
    return _URL.fullmatch(url) is not None and "%00" not in url


def name(url: str) -> str:
    """Return the hosts and the database of a valid URL as a URL without secrets."""
    found = _URL.fullmatch(url)
    if found is None:
        return "postgresql:"
    return f"postgresql://{found['hosts']}/{found['database'] or ''}"
