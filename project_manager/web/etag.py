"""Entity tags of If-Match and If-None-Match, including the forms that compressing proxies produce."""

import re

# Apache, Jetty, Caddy and CDNs append the coding to the tag of a response that they compress.
_TAG = re.compile(r'(?:W/)?"?(?P<opaque>[^"]*?)(?:(?:--?|;)(?:gzip|br|zstd|deflate|df))?"?')


def opaque_tags(header: bytes) -> list[str]:
    """Return the tags without weak prefix, quotes and suffix of a proxy. A tag of another form stays unchanged."""
    candidates = [candidate.strip() for candidate in header.decode("latin-1").split(",")]
    found = [(candidate, _TAG.fullmatch(candidate)) for candidate in candidates if candidate]
    return [candidate if match is None else match["opaque"] for candidate, match in found]


def is_any(header: bytes) -> bool:
    """Return whether the header is `*`, which every existing resource matches."""
    return header.strip() == b"*"


def matches(header: bytes | None, tag: str) -> bool:
    """Return whether If-None-Match contains the entity tag `tag`, by weak comparison."""
    return header is not None and (is_any(header) or opaque_tags(tag.encode("latin-1"))[0] in opaque_tags(header))
