"""Entity tags of If-Match and If-None-Match, including the forms that compressing proxies produce."""

import re

_ENTRY = re.compile(r'(?:"[^"]*"|[^,])+')
"""An entry of the list. A tag in quotes may contain commas."""
# Apache, Jetty, Caddy and CDNs append the coding to the tag of a response that they compress.
_TAG = re.compile(r'(?:W/)?"?(?P<opaque>[^"]*?)(?:(?:--?|;)(?:gzip|br|zstd|deflate|df))?"?')


def opaque_tags(header: bytes) -> list[str]:
    """Return the tags without `W/`, quotes, and a suffix that a proxy added. A tag of another form stays unchanged."""
    candidates = [candidate.strip() for candidate in _ENTRY.findall(header.decode("latin-1"))]
    found = [(candidate, _TAG.fullmatch(candidate)) for candidate in candidates if candidate]
    return [candidate if match is None else match["opaque"] for candidate, match in found]


def is_any(header: bytes) -> bool:
    """Return whether the header is `*`, which every existing resource matches."""
    return header.strip() == b"*"


def matches(if_none_match: bytes | None, tag: str) -> bool:
    """Return whether If-None-Match is `*` or contains `tag`, by weak comparison."""
    own = opaque_tags(tag.encode("latin-1"))[0]
    return if_none_match is not None and (is_any(if_none_match) or own in opaque_tags(if_none_match))
