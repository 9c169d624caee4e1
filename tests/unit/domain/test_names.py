import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.names import CANDIDATES, is_visible, name_key, nearest, suggestion

PRESENT = [
    "Website",
    "Sprint 41",
    "Plan A",
    "Backend EU",
    "Release 1.2",
    "Kundenportal für Händler",
    "import",
    "Docs",
    "Inbox",
]


@pytest.mark.parametrize("name", ["website", " Website ", "WEBSITE", "weBSite"])
def test_case_and_surrounding_blanks_do_not_distinguish_names(name: str) -> None:
    assert name_key(name) == name_key("Website")


@pytest.mark.parametrize(
    ("misspelt", "expected"),
    [
        ("Websit", "Website"),
        ("Webiste", "Website"),
        ("web-site", "Website"),
        ("Websites", "Website"),
        ("Kundenportal für Handler", "Kundenportal für Händler"),
        ("sprint41", "Sprint 41"),
        ("Inbux", "Inbox"),
        ("Inobx", "Inbox"),
        ("Inbo", "Inbox"),
        ("Inboxx", "Inbox"),
    ],
)
def test_a_misspelling_is_recognized_by_its_letters(misspelt: str, expected: str) -> None:
    assert nearest(misspelt, PRESENT) == expected


@pytest.mark.parametrize(
    "name",
    [
        "Sprint 42",
        "Plan B",
        "Backend US",
        "Release 1.3",
        "export",
        "Website 2",
        "Webmail",
        "Website API",
        "Dogs",
        "Index",
    ],
)
def test_names_that_are_numbered_or_differ_on_purpose_are_no_misspellings(name: str) -> None:
    assert nearest(name, PRESENT) is None


def test_the_nearest_of_several_is_named() -> None:
    assert nearest("Websitee", ["Websites", "Website"]) == "Website"


def test_without_others_nothing_is_near() -> None:
    assert nearest("Website", []) is None


CAFE = "Caf\u00e9"
ONE = ["cafe\u0301", "CAF\u00c9", " caf\u00e9 ", "\uff23af\u00e9", "Ca\u00adf\u00e9", "Ca\u200bf\u00e9\ufe0f"]


@pytest.mark.parametrize("name", ONE)
def test_composition_width_and_invisible_characters_do_not_distinguish_names(name: str) -> None:
    assert name_key(name) == name_key(CAFE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Stra\u00dfe", "STRASSE"),
        ("\ufb01le", "File"),
        ("\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"),
        ("a\u3000b", "A  b"),
    ],
)
def test_full_case_folding_ligatures_and_wide_blanks_do_not_distinguish_names(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Cafe", CAFE), ("Lab 1", "Lab 2"), ("C", "C++"), ("\U0001f680", "\U0001f525")]
)
def test_different_letters_distinguish_names(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@given(st.text(max_size=40))
def test_the_key_of_a_name_is_its_own_key_and_that_of_each_of_its_forms(name: str) -> None:
    key = name_key(name)
    assert name_key(key) == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert name_key(unicodedata.normalize(form, name)) == key


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u3164", "\u115f\u1160", "\u2800", "\ufeff\u00ad", "\u2060\ufe0f", "\U000e0020"]
)
def test_fillers_blanks_and_zero_width_characters_are_not_visible(text: str) -> None:
    assert not is_visible(text)
    assert is_visible(f"{text}x")


@pytest.mark.parametrize(("misspelt", "expected"), [("labb", "lab"), ("auht", "auth"), ("aapp", "app")])
def test_doubled_and_swapped_letters_are_misspellings_also_in_short_words(misspelt: str, expected: str) -> None:
    assert nearest(misspelt, [expected]) == expected


@pytest.mark.parametrize(
    ("name", "other"), [("C++", "C"), ("\U0001f680", "\U0001f525"), ("v1.2", "v12"), ("lab2", "lab22")]
)
def test_a_deliberate_difference_is_no_misspelling(name: str, other: str) -> None:
    assert nearest(name, [other]) is None
    assert suggestion(name, [other]) is None


@pytest.mark.parametrize(("name", "other"), [("Dogs", "Docs"), ("labs", "lab"), ("lap", "lab"), ("labb", "lab")])
def test_a_suggestion_takes_one_wrong_letter_in_any_word(name: str, other: str) -> None:
    assert suggestion(name, ["Website", other]) == other


def test_a_name_without_visible_characters_is_never_suggested() -> None:
    assert nearest("ab", ["\u200b", "abc"]) is None
    assert suggestion("ab", ["\u200b", "Website"]) is None


def test_only_a_limited_number_of_names_is_compared() -> None:
    def names() -> Iterator[str]:
        for number in range(CANDIDATES):
            yield f"name {number:06d}"
        raise AssertionError("one more was asked for")

    assert nearest("Website", names()) is None
    assert suggestion("Website", names()) is None
