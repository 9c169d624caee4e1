from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    loader = SourceFileLoader("audit", str(CHECKOUT / "scripts" / "audit"))
    spec = spec_from_loader("audit", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


HARMLESS: dict[str, Any] = {"name": "click", "version": "8.5.1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "anyio", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE: dict[str, Any] = {
    "name": "starlette",
    "version": "0.1",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["0.2"]}, {"id": "GHSA-2", "fix_versions": []}],
}


def test_vulnerabilities_are_listed_with_the_release_that_fixes_them(audit: ModuleType) -> None:
    lines, unknown, known = audit.verdict([HARMLESS, UNKNOWN, VULNERABLE])
    assert lines == ["starlette 0.1: GHSA-1, fixed in 0.2", "starlette 0.1: GHSA-2, fixed in no release"]
    assert (unknown, known) == (["anyio"], 2)


@pytest.mark.parametrize("entries", [[], [UNKNOWN, UNKNOWN]])
def test_a_database_that_knows_no_package_is_no_answer(audit: ModuleType, entries: list[dict[str, Any]]) -> None:
    assert audit.verdict(entries)[2] == 0
