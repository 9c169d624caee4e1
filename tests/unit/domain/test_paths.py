"""Globs of paths: their validation, and whether two of them can match the same file."""

import itertools
import random
import time

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.limits import GLOB_CHARACTERS, GLOB_SEGMENTS, GLOB_WILDCARDS
from project_manager.domain.paths import Glob, GlobError, GlobIndex, normalized, overlaps, parse_glob

NAMES = [*map("".join, itertools.chain(itertools.product("ab", repeat=1), itertools.product("ab", repeat=2)))]
FILES = ["/".join(names) for length in (1, 2, 3) for names in itertools.product(NAMES, repeat=length)]
"""All paths of up to three segments with one or two letters each."""
SEGMENTS = st.one_of(
    st.just("**"),
    st.lists(st.sampled_from(["a", "b", "?", "*", "[a]", "[ab]", "[a-b]"]), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda text: "**" not in text),
)
GLOBS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join).filter(lambda text: wildcards(text) <= GLOB_WILDCARDS)


def wildcards(glob: str) -> int:
    """Return the number of wildcards, for globs of these segments."""
    return sum(1 if name == "**" else sum(map(name.count, "?*[")) for name in glob.split("/"))


def meet(one: str, other: str) -> bool:
    return overlaps(parse_glob(one), parse_glob(other))


def matched(glob: str) -> set[str]:
    """Return the files that the glob matches: a path without wildcards overlaps the globs that match it."""
    return {path for path in FILES if meet(glob, path)}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src/a.py", "src/a.py/b", False),
        ("src", "src/a.py", False),
        ("src/*", "src/a.py", True),
        ("src/*", "src/a/b.py", False),
        ("src/*.py", "src/*.js", False),
        ("src/*.py", "src/test_*", True),
        ("src/**", "src/a/b/c.py", True),
        ("src/**", "src", False),
        ("**", "a", True),
        ("**/*.py", "docs/**", True),
        ("**/*.py", "docs/*.md", False),
        ("**/test_*.py", "tests/unit/test_a.py", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/**/c", False),
        ("a/**/b/**", "**/c/d", True),
        ("v[0-9].txt", "v[5-8].txt", True),
        ("v[0-4].txt", "v[5-8].txt", False),
        ("v?.txt", "v10.txt", False),
        ("[]x]", "]", True),
        ("a*b*c", "abc", True),
        ("*a*", "*b*", True),
        ("Src/a", "src/a", False),
        ("ä/*", "ä/ö", True),
    ],
)
def test_two_globs_overlap_if_a_file_can_match_both(one: str, other: str, expected: bool) -> None:
    assert meet(one, other) is expected
    assert meet(other, one) is expected


@given(GLOBS)
def test_a_glob_matches_the_same_files_as_in_a_gitignore(glob: str) -> None:
    spec = pathspec.GitIgnoreSpec.from_lines([f"/{glob}"])
    files = matched(glob)

    def is_ignored(path: str) -> bool:  # a glob that matches a directory ignores all files below it
        names = path.split("/")
        return any("/".join(names[:length]) in files for length in range(1, len(names) + 1))

    assert {path for path in FILES if is_ignored(path)} == {path for path in FILES if spec.match_file(path)}


@given(GLOBS, GLOBS)
def test_an_overlap_is_a_common_file_and_has_no_direction(one: str, other: str) -> None:
    assert meet(one, other) is meet(other, one)
    if matched(one) & matched(other):
        assert meet(one, other)


TINY = st.lists(
    st.one_of(st.just("**"), st.text("ab?*", min_size=1, max_size=2).filter(lambda text: text != "**")),
    min_size=1,
    max_size=2,
).map("/".join)


@given(TINY, TINY)
def test_small_globs_overlap_exactly_if_one_of_all_small_files_matches_both(one: str, other: str) -> None:
    # Two globs of at most two segments and two tokens have a common file of this size, if they have any.
    assert meet(one, other) is bool(matched(one) & matched(other))


@given(GLOBS)
def test_a_glob_overlaps_itself(glob: str) -> None:
    assert meet(glob, glob)


@given(st.lists(GLOBS, max_size=12, unique=True), GLOBS)
def test_an_index_finds_the_same_overlaps_as_a_comparison_with_each_glob(globs: list[str], glob: str) -> None:
    index = GlobIndex(map(parse_glob, globs))
    assert sorted(index.overlapping(parse_glob(glob))) == sorted(other for other in globs if meet(glob, other))


@pytest.mark.parametrize(
    ("glob", "part"),
    [
        ("a//b", "remove one `/`"),
        ("a/", "write `/**` at the end"),
        ("", "has an empty segment"),
        ("../a", "the segment `..`"),
        ("a/./b", "the segment `.`"),
        ("a\\b", "backslash"),
        ("!a", "negation"),
        ("[!a]", "negated set"),
        ("[^a]", "negated set"),
        ("[a", "`[` without `]`"),
        ("[]", "`[` without `]`"),
        ("[b-a]", "empty range"),
        ("a**", "`**` inside a segment"),
        ("***", "`**` inside a segment"),
        ("src/{a,b}/*", "one glob for each"),
        ("*/" * GLOB_WILDCARDS + "*", f"has {GLOB_WILDCARDS + 1} wildcards"),
        ("a/" * GLOB_SEGMENTS + "a", f"more than {GLOB_SEGMENTS} segments"),
        ("a" * (GLOB_CHARACTERS + 1), f"more than {GLOB_CHARACTERS} characters"),
    ],
)
def test_an_invalid_glob_is_refused_with_the_remedy(glob: str, part: str) -> None:
    with pytest.raises(GlobError) as refusal:
        parse_glob(glob)
    assert part in str(refusal.value)


@pytest.mark.parametrize("glob", ["/src/a.py", "./src/a.py", "src/a.py"])
def test_a_glob_is_relative_to_the_root_with_or_without_a_slash(glob: str) -> None:
    assert normalized(glob) == "src/a.py"


def worst() -> list[Glob]:
    """Return pairs of globs that take longest: as many wildcards and segments as the limits allow."""
    deep = "a/" * (GLOB_SEGMENTS - GLOB_WILDCARDS - 1)
    wide = "a" * (GLOB_CHARACTERS // 2 - 2 * GLOB_WILDCARDS)
    return [
        parse_glob("**/" * GLOB_WILDCARDS + deep + "b"),
        parse_glob("**/a/" * GLOB_WILDCARDS + "a/" * 30 + "c"),
        parse_glob("*a" * GLOB_WILDCARDS + wide + "b"),
        parse_glob("*aa" * GLOB_WILDCARDS + wide + "c"),
    ]


def test_the_slowest_pairs_take_milliseconds() -> None:
    pairs = [*itertools.product(worst(), repeat=2)]
    started = time.process_time()
    for one, other in pairs:
        overlaps(one, other)
    assert time.process_time() - started < 0.1 * len(pairs)


def test_most_pairs_of_a_large_project_are_not_compared() -> None:
    compared = random.Random(1)
    globs = [parse_glob(f"packages/p{n}/src/{compared.choice(['**', '*.py', 'a.py'])}") for n in range(1000)]
    started = time.process_time()
    index = GlobIndex()
    for glob in globs:
        assert index.overlapping(glob) == []
        index.add(glob)
    assert time.process_time() - started < 1
