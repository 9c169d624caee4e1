import unicodedata

import pytest

from project_manager.domain.actors import is_reserved
from project_manager.domain.look_alikes import confusable_key

LOOK_ALIKES = {
    "another case": "LoCaL",
    "Cyrillic o": "l\u043ecal",
    "Cyrillic a": "loc\u0430l",
    "Greek omicron": "l\u03bfcal",
    "Cyrillic capitals": "\u0405YS\u0422\u0415\u041c",
    "Cyrillic small letters": "\u0455\u0443\u0455\u0442\u0435\u043c",
    "a capital I": "Iocal",
    "a capital I in full width": "\uff29ocal",
    "a Roman numeral": "\u2160ocal",
    "Cyrillic palochka": "\u04cfocal",
    "digits": "10ca1",
    "letters of mathematics": "\U0001d425\U0001d428\U0001d41c\U0001d41a\U0001d425",
    "full width": "\uff4cocal",
    "two letters for one": "systern",
    "a slash of another kind": "unnamed\u2215worker",
    "Armenian u": "\u057dnnamed/worker",
    "lunate sigma": "lo\u03f2al",
}


@pytest.mark.parametrize("name", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_a_name_that_looks_like_one_of_the_service_is_reserved(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize(
    "name", ["l\u00f6cal", "locals", "sistem", "\u043b\u043e\u043a\u0430\u043b", "unnamed-1", "ron", "claude-1"]
)
def test_a_name_that_looks_otherwise_is_free(name: str) -> None:
    assert not is_reserved(name)


def test_the_key_of_a_latin_name_is_that_name_in_lower_case() -> None:
    assert confusable_key("Ann Smith") == "ann smith"
    assert confusable_key(unicodedata.normalize("NFD", "caf\u00e9")) == "caf\u00e9"
