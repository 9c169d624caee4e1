"""Names and keys: one form for equal texts, and detection of probable typing errors in names."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from heapq import nlargest
from itertools import islice
from operator import itemgetter

INBOX = "Inbox"
"""The project of tasks that are created without a project."""
SIMILARITY = 0.85
MIN_TYPO_LENGTH = 4
MIN_LENGTH_FOR_ONE_EDIT = 5
MIN_LENGTH_FOR_DOUBLED_LETTER = 3
MIN_SUGGESTION_LENGTH = 3
CANDIDATES = 500
"""Maximum number of names that a suggestion compares. Only the MAX_COMPARED closest by a fast estimate are measured."""
MAX_COMPARED = 20
MEASURED_LENGTH = 60
"""Maximum length of a measured name, because measuring takes up to cubic time.

In longer names only one typing error, or other separators between words, counts.
"""

_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Default_Ignorable_Code_Point of Unicode: invisible characters."""
_IGNORED = re.compile(f"[{_IGNORABLE}]+")
_BLANK = re.compile(f"[\u2800{_IGNORABLE}]")
_REPEATED = re.compile(r"(.)\1+")
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")
_VISIBLE = re.compile(f"[^\\s\x00-\x1f\x7f-\x9f\u2800{_IGNORABLE}]")


def composed(text: str) -> str:
    """Return the text in NFC, as texts are stored. Bound its length first: sorting marks takes quadratic time."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_visible(text: str) -> bool:
    """Return whether the text has a visible character. Blanks, fillers and zero-width characters are invisible."""
    return _VISIBLE.search(text) is not None


def has_invisible_character(text: str) -> bool:
    """Return whether the text has an ignorable character, such as U+3164, or U+2800, which looks like a space."""
    return _BLANK.search(text) is not None


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return the key that compares names: NFKC casefold, no ignorable characters, single spaces."""
    if name.isascii():
        return " ".join(name.lower().split())
    # Caseless compatibility matching (definition D146 of the Unicode standard). It starts with NFKD so that every form
    # of the text has the same key. Folding runs twice, because its result may contain letters that fold again.
    text = _IGNORED.sub("", unicodedata.normalize("NFKD", name))
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(_IGNORED.sub("", unicodedata.normalize("NFKC", text)).split())


def length_range(name: str) -> tuple[int, int]:
    """Return the minimum and the maximum length of names that can be close to `name`."""
    return len(name) * 2 // 3 - 1, len(name) * 3 // 2 + 2


def nearest(name: str, others: Iterable[str]) -> str | None:
    """Return the name that was probably misspelled as `name`, or None.

    Names that differ in a number or a short word are different: `Sprint 41` and `Sprint 42`, `Plan A` and `Plan B`.
    """
    key = name_key(name)
    matcher = SequenceMatcher(None, "", key)
    candidates = []
    for other in islice(others, CANDIDATES):
        other_key = name_key(other)
        if _joined(key) == _joined(other_key):
            return other
        if _may_be_typo_of(key, other_key):
            matcher.set_seq1(other_key)
            candidates.append((matcher.quick_ratio(), other_key, other))
    best, likeness = None, 0.0
    for _, other_key, other in nlargest(MAX_COMPARED, candidates, key=itemgetter(0)):
        matcher.set_seq1(other_key)
        measured = matcher.ratio() if len(key) <= MEASURED_LENGTH else 0.0
        found = max(measured, SIMILARITY if _one_typo(*_differing(key, other_key)) else 0.0)
        if found > likeness:
            best, likeness = other, found
    return best if likeness >= SIMILARITY else None


def suggestion(name: str, others: Iterable[str]) -> str | None:
    """Return an existing name to suggest for the unknown `name`, or None. In a short name it accepts one typo."""
    least, most = length_range(name)
    known = list(islice((other for other in others if least <= len(other) <= most), CANDIDATES))
    return nearest(name, known) or next((other for other in known if _one_letter_off(name_key(name), other)), None)


def _one_letter_off(key: str, other: str) -> bool:
    words = (key, name_key(other))
    return min(map(len, words)) >= MIN_SUGGESTION_LENGTH and not _digits(words) and one_edit(*words)


def _may_be_typo_of(key: str, other: str) -> bool:
    """Return whether the names differ by one typing error, or only in words that are long enough for one."""
    words, other_words = key.split(), other.split()
    if len(words) != len(other_words):  # a name of an older release may have no words
        return False
    differing = [pair for pair in zip(words, other_words, strict=True) if pair[0] != pair[1]]
    return all(_may_be_typo(word) for pair in differing for word in pair) or _one_typo(*_differing(key, other))


def _differing(key: str, other: str) -> tuple[str, str]:
    """Return the two forms of the only different word, or two empty words if more words differ."""
    differing = [pair for pair in zip(key.split(), other.split(), strict=True) if pair[0] != pair[1]]
    return differing[0] if len(differing) == 1 else ("", "")


def _one_typo(word: str, other: str) -> bool:
    """Return whether the words differ by one typo. In short words only a swap or a doubled letter counts."""
    if _digits((word, other)) or not one_edit(word, other):
        return False
    short, long = sorted((word, other), key=len)
    if len(short) >= MIN_LENGTH_FOR_ONE_EDIT:
        return True
    if len(short) == len(long):
        return len(short) >= MIN_TYPO_LENGTH and sorted(short) == sorted(long)
    return len(short) >= MIN_LENGTH_FOR_DOUBLED_LETTER and _REPEATED.sub(r"\1", short) == _REPEATED.sub(r"\1", long)


def one_edit(word: str, other: str) -> bool:
    """Return whether the words differ in one changed, added or missing letter, or in two swapped adjacent letters."""
    short, long = sorted((word, other), key=len)
    if len(long) - len(short) > 1 or short == long:
        return False
    same = next((place for place, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) < len(long):
        return short[same:] == long[same + 1 :]
    swapped = long[same : same + 2] == short[same : same + 2][::-1]
    return short[same + 1 :] == long[same + 1 :] or (swapped and short[same + 2 :] == long[same + 2 :])


def _digits(words: Iterable[str]) -> bool:
    return any(letter.isdigit() for word in words for letter in word)


def _joined(key: str) -> str:
    """Return the name without spaces, hyphens and underscores, so that `web-site` and `website` are equal."""
    return _SEPARATORS.sub("", key) or key


def _may_be_typo(word: str) -> bool:
    return len(word) >= MIN_TYPO_LENGTH and not _digits((word,))
