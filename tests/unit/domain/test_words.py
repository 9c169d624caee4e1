import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.words import COMPOSED_LETTERS, Phrase, index_words, query_phrases


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("foo-bar v1.2.3 don't snake_case", ["foo", "bar", "v1", "2", "3", "don", "t", "snake", "case"]),
        ("\u00c9t\u00e9 STRASSE stra\u00dfe \u0130zmir", ["ete", "strasse", "stra\u00dfe", "izmir"]),
        ("e\u0301te\u0301", ["ete"]),
        ("\u20ac 12 \U0001f680 !!!", ["12"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", ["\u05e9\u05dc\u05d5\u05dd"]),
        ("支付功能", ["支付", "付功", "功能", "能"]),
        ("API接口v2", ["api", "接口", "口", "v2"]),
        ("か\u3099", ["が"]),
        ("ดีมาก", ["ดี", "ีม", "มา", "าก", "ก"]),
        ("한국어", ["한국", "국어", "어"]),
        ("", []),
    ],
)
def test_a_text_becomes_folded_words_and_pairs_of_letters(text: str, words: list[str]) -> None:
    assert index_words(text) == words


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("foo-bar baz", [Phrase(("foo", "bar"), True), Phrase(("baz",), True)]),
        ("支付功", [Phrase(("支付", "付功"), False)]),
        ("支", [Phrase(("支",), True)]),
        ("API接口v2", [Phrase(("api",), False), Phrase(("接口",), False), Phrase(("v2",), True)]),
        ("!!! foo", [Phrase(("foo",), True)]),
        ("!!!", []),
    ],
)
def test_a_query_becomes_phrases(query: str, phrases: list[Phrase]) -> None:
    assert query_phrases(query) == phrases


def found(query: str, text: str) -> bool:
    """Return whether an index of the words finds the text: it contains each phrase, and the last word may be longer."""
    words = index_words(text)

    def stands(phrase: Phrase, at: int) -> bool:
        here = words[at : at + len(phrase.words)]
        if len(here) < len(phrase.words) or here[:-1] != list(phrase.words[:-1]):
            return False
        return here[-1].startswith(phrase.words[-1]) if phrase.open else here[-1] == phrase.words[-1]

    return all(any(stands(phrase, at) for at in range(len(words))) for phrase in query_phrases(query))


UNSPACED = "支付功能接口测试がぎぐテスト"


@given(st.text(UNSPACED, min_size=1, max_size=12), st.data())
def test_every_part_of_a_text_without_blanks_is_found(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert found(text[start:end], f"Fix {text} v2")
    assert found(unicodedata.normalize("NFD", text[start:end]), f"Fix {unicodedata.normalize('NFD', text)} v2")


@given(st.text(max_size=60))
def test_the_words_of_a_text_stay_as_they_are_and_hold_no_blank(text: str) -> None:
    for word in index_words(text):
        assert len(word.split()) == 1
        assert word_letters(word) == word
    assert found(text, text)


def word_letters(word: str) -> str:
    return "".join(letter for letter in word if unicodedata.category(letter)[0] in "LNMC")


def test_a_run_of_marks_is_not_sorted_and_takes_linear_time() -> None:
    """Limit the time. A quadratic normalisation of this text takes minutes."""
    marks = "\u0915" + "\u093c\u094d" * 500_000
    assert index_words(marks) == [marks]
    assert len(marks) > COMPOSED_LETTERS
