"""Expansion of paths in flags, settings, URLs and env files, which no shell has expanded."""

import os
import re

PATH_SYNTAX = "a leading `~/` is the home folder; variables such as $HOME are not expanded"

_VARIABLE = re.compile(r"(?:^|/)\$(?:\{\w+\}|[A-Za-z_]\w*)(?:/|$)")


def expand(text: str) -> str:
    """Return the path with `~` or `~user` at its beginning replaced by that home folder.

    Raises ValueError for an unknown home folder, and for a variable, because a folder with its name would be created.
    """
    if _VARIABLE.search(text):
        raise ValueError(f"the variable in {text!r} is not expanded; write the full path, or start it with ~/")
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 keeps a trailing slash, which pathlib removes
    if expanded.startswith("~"):
        raise ValueError(f"unknown home folder in {text!r}; write ./{text} for a file name that starts with ~")
    return expanded
