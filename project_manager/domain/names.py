"""Names as people and models write them: the same one in another case, and one that is probably a slip."""

from collections.abc import Iterable
from difflib import SequenceMatcher

ALIKE = 0.85
LETTERS_OF_A_SLIP = 4
LETTERS_WITH_ONE_WRONG = 5


def folded(name: str) -> str:
    """What makes two names the same: neither case nor blanks around and between words count."""
    return " ".join(name.casefold().split())


def nearest(name: str, others: Iterable[str]) -> str | None:
    """The name that `name` is probably a slip of; None when there is none.

    Names that count or tell apart by a short word (`Sprint 41` and `Sprint 42`, `Plan A` and `Plan B`) are no slips.
    """
    ranked = ((_likeness(folded(name), folded(other)), other) for other in others)
    best = max(ranked, key=lambda rated: rated[0], default=(0.0, ""))
    return best[1] if best[0] >= ALIKE else None


def _likeness(name: str, other: str) -> float:
    """0 (different) .. 1 (the same letters and digits)."""
    if _letters(name) == _letters(other):
        return 1.0
    ours, theirs = name.split(), other.split()
    differing = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
    if len(ours) != len(theirs) or not all(_may_be_slip(word) for pair in differing for word in pair):
        return 0.0
    matcher = SequenceMatcher(None, name, other)
    if len(differing) == 1 and _one_wrong(*differing[0]):
        return max(ALIKE, matcher.ratio())
    return matcher.ratio() if matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE else 0.0


def _one_wrong(word: str, other: str) -> bool:
    """Whether one letter of a word is another one, too many or missing, or two beside each other changed places."""
    short, long = sorted((word, other), key=len)
    if len(short) < LETTERS_WITH_ONE_WRONG or len(long) - len(short) > 1:
        return False
    same = next((place for place, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    if len(short) < len(long):
        return short[same:] == long[same + 1 :]
    swapped = long[same : same + 2] == short[same : same + 2][::-1]
    return short[same + 1 :] == long[same + 1 :] or (swapped and short[same + 2 :] == long[same + 2 :])


def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


def _may_be_slip(word: str) -> bool:
    return len(word) >= LETTERS_OF_A_SLIP and not any(letter.isdigit() for letter in word)
