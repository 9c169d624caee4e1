"""Tokenizer of the full-text search, for stored texts and queries.

Letters lose case and diacritics. Text of scripts without spaces between words becomes overlapping pairs of letters, so
that any part of it is found.
"""

import re
import unicodedata
from typing import NamedTuple

COMPOSED_LETTERS = 256
"""Maximum length of a composed word. Sorting the marks of longer words would take quadratic time."""
CACHED_LETTERS = 65_536

# Marks above and below letters of alphabets. Vowel signs of Indic scripts and voicing marks of kana are kept.
_DIACRITICS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc"  # Hangul: compounds have no spaces
    "\u3005-\u3007\u3021-\u3029\u3031-\u303c\u3040-\u312f\u31a0-\u31ff\uff66-\uff9f"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_RUNS = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED}]+")


class Phrase(NamedTuple):
    """Sequence of adjacent words. If `open`, the last word is a prefix."""

    words: tuple[str, ...]
    open: bool


def index_words(text: str) -> list[str]:
    """Return the words of a stored text, in order. Takes linear time."""
    return [word for run in _runs(text) for word in _index_terms(run)]


def query_phrases(query: str) -> list[Phrase]:
    """Return the phrases of a query. A text matches if it has all of them. Without phrases no text matches.

    Text between spaces is one phrase, so `foo-bar` is `foo bar`. Letters of unspaced scripts are a separate phrase.
    """
    return [phrase for word in query.split() for phrase in _phrases(_runs(word))]


class _Run(NamedTuple):
    """A word, or a run of letters of a script without spaces between words."""

    text: str
    unspaced: bool


def _runs(text: str) -> list[_Run]:
    folded = text.translate(_FOLDING)
    if folded.isascii():
        return [_Run(word, False) for word in folded.split()]
    found = []
    for word in folded.split():
        composed = word if word.isascii() or len(word) > COMPOSED_LETTERS else unicodedata.normalize("NFC", word)
        if _HAS_UNSPACED.search(composed) is None:
            found.append(_Run(composed, False))
        else:
            found += [_Run(match[0], match[1] is not None) for match in _RUNS.finditer(composed)]
    return found


def _pairs(letters: str) -> list[str]:
    return [letters[at : at + 2] for at in range(len(letters) - 1)]


def _index_terms(run: _Run) -> list[str]:
    """Return the word, or the pairs of letters and the last letter. A query of one letter matches them as a prefix."""
    return [*_pairs(run.text), run.text[-1]] if run.unspaced else [run.text]


def _phrases(runs: list[_Run]) -> list[Phrase]:
    phrases: list[Phrase] = []
    spaced: list[str] = []
    for run in runs:
        if not run.unspaced:
            spaced.append(run.text)
            continue
        if spaced:
            phrases.append(Phrase(tuple(spaced), open=False))
            spaced = []
        pairs = _pairs(run.text)
        phrases.append(Phrase(tuple(pairs) or (run.text,), open=not pairs))
    if spaced:
        phrases.append(Phrase(tuple(spaced), open=True))
    return phrases


class _Folding(dict[int, str]):
    """Table for `str.translate` from a character to its folded letters. Characters outside of words become spaces."""

    def __missing__(self, code: int) -> str:
        found = _folded(chr(code))
        if len(self) < CACHED_LETTERS:
            self[code] = found
        return found


def _folded(character: str) -> str:
    bare = _DIACRITICS.sub("", unicodedata.normalize("NFD", character.lower()))
    letters = unicodedata.normalize("NFC", bare)
    return "".join(letter if _is_word_character(letter) else " " for letter in letters)


def _is_word_character(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] in "LNM" or category == "Co"


_FOLDING = _Folding()
