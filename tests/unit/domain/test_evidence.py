"""Commits of evidence and of submissions: which ids mean the same commit."""

import pytest

from project_manager.domain.evidence import is_same_commit

FULL = "4f2d9c1b7e0a5d3c8f6e1b2a9d4c7e0f5a3b8d6c"


@pytest.mark.parametrize("other", [FULL, FULL[:7], FULL[:12], FULL[:39]])
def test_a_short_id_means_the_commit_that_begins_with_it(other: str) -> None:
    assert is_same_commit(FULL, other)
    assert is_same_commit(other, FULL)


@pytest.mark.parametrize("other", [FULL[:6], "", FULL[1:], f"{FULL[:7]}0", f"{FULL[:39]}0", None])
def test_other_ids_mean_other_commits(other: str | None) -> None:
    assert not is_same_commit(FULL, other)
    assert not is_same_commit(other, FULL)
    assert not is_same_commit(other, None)
