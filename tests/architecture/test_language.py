"""The rules of the project's language that a tool can check."""

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.tree import files, name_of, nodes

CODE = files("project_manager/*.py", "migrations/*.py", "scripts/*.py")
PAGES = files("docs/*.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
TEMPLATES = files("project_manager/*.html", "project_manager/web/static/*.js", "project_manager/web/static/**/*.js")
VENDOR = "/vendor/"
FORBIDDEN = re.compile(
    r"\b(doors?|eras?|house|lest|anew|thereof|whoever|whomever|whose|nobody|somebody|slips?|told|tells|said|"
    r"riddles?|guests?|wits?)\b",
    re.IGNORECASE,
)
"""Metaphors and archaisms. CONTRIBUTING.md names the standard terms."""
PRONOUNS = re.compile(r"\b(what|who|whom|whose|whoever|whatever|whichever)\b", re.IGNORECASE)
PRONOUNS_PER_1000_WORDS = 1
NO_BEGINNING = frozenset(
    [
        "And",
        "As",
        "Because",
        "But",
        "Did",
        "Does",
        "For",
        "From",
        "Had",
        "Has",
        "How",
        "If",
        "In",
        "Is",
        "It",
        "Its",
        "May",
        "Of",
        "On",
        "Or",
        "Says",
        "So",
        "Than",
        "That",
        "Then",
        "There",
        "These",
        "They",
        "This",
        "Those",
        "To",
        "Was",
        "What",
        "When",
        "Where",
        "Whether",
        "Which",
        "Who",
        "Whose",
        "Why",
        "With",
    ]
)
ENDS_IN_S = frozenset({"Access", "Address", "Bypass", "Compress", "Discuss", "Express", "Pass", "Process", "Progress"})
COMPLEX = 10
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case)


@cache
def documented(path: Path) -> list[tuple[Documented, str]]:
    """Return each module, class and function of a file that has a docstring, with it."""
    found = [(node, ast.get_docstring(node)) for node in nodes(path) if isinstance(node, Documented)]
    return [(node, text) for node, text in found if text]


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each literal that reads as a sentence and is no docstring."""
    docstrings = {text for _, text in documented(path)}
    for node in nodes(path):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if " " in node.value.strip() and inspect.cleandoc(node.value) not in docstrings:
            yield node.lineno, node.value


def described(path: Path, node: Documented) -> str:
    return f"{name_of(path)}: {'the module' if isinstance(node, ast.Module) else node.name}"


def complexity(function: ast.AST) -> int:
    """Return the cyclomatic complexity. Boolean operators, conditional expressions and filters count too."""
    found = 1
    for node in ast.walk(function):
        if isinstance(
            node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.IfExp | ast.match_case
        ):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += len(node.ifs)
    return found


def begins_badly(node: Documented, text: str) -> bool:
    first = re.split(r"[^\w`-]", text.strip(), maxsplit=1)[0]
    third_person = isinstance(node, FUNCTIONS) and first.istitle() and first.endswith("s") and first not in ENDS_IN_S
    return first in NO_BEGINNING or third_person


def test_docstrings_use_the_terms_of_the_field() -> None:
    found = [(described(path, node), FORBIDDEN.findall(text)) for path in CODE for node, text in documented(path)]
    assert [(name, words) for name, words in found if words] == []


def test_messages_use_the_terms_of_the_field() -> None:
    found = [(f"{name_of(path)}:{line}", text) for path in CODE for line, text in messages(path)]
    assert [(place, text) for place, text in found if FORBIDDEN.search(text)] == []


def test_pages_and_templates_use_the_terms_of_the_field() -> None:
    paths = [*PAGES, *(path for path in TEMPLATES if VENDOR not in name_of(path))]
    lines = [(f"{name_of(path)}:{number}", line) for path in paths for number, line in numbered(path)]
    assert [(place, line) for place, line in lines if FORBIDDEN.search(line)] == []


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text().splitlines(), start=1)


def test_names_of_tests_use_the_terms_of_the_field() -> None:
    functions = [
        (name_of(path), node.name)
        for path in files("tests/*.py")
        for node in nodes(path)
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_")
    ]
    assert [(path, name) for path, name in functions if FORBIDDEN.search(name.replace("_", " "))] == []


def test_a_docstring_begins_with_a_verb_or_a_noun_phrase() -> None:
    texts = [(described(path, node), node, text) for path in CODE for node, text in documented(path)]
    assert [f"{name}: {text.splitlines()[0]}" for name, node, text in texts if begins_badly(node, text)] == []


def test_errors_named_in_docstrings_exist() -> None:
    """A renamed class must not stay in the sentence "Raises NAME"."""
    classes = {node.name for path in CODE for node in nodes(path) if isinstance(node, ast.ClassDef)}
    known = classes | set(dir(builtins)) | {"MCPError", "BadParameter", "DriverError"}
    raised = [
        (described(path, node), name)
        for path in CODE
        for node, text in documented(path)
        for sentence in re.findall(r"\bRaises? ([^.]*)", text)
        for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", sentence)
    ]
    assert [(place, name) for place, name in raised if name not in known] == []


def test_docstrings_name_their_subjects() -> None:
    """Relative clauses without a noun make a sentence hard to read."""
    words = " ".join(text for path in CODE for _, text in documented(path))
    assert len(PRONOUNS.findall(words)) * 1000 <= PRONOUNS_PER_1000_WORDS * len(words.split())


def test_a_complex_function_says_why() -> None:
    complex_functions = [
        (path, node)
        for path in CODE
        for node in nodes(path)
        if isinstance(node, FUNCTIONS) and complexity(node) > COMPLEX
    ]
    assert [described(path, node) for path, node in complex_functions if not has_comment(path, node)] == []


def has_comment(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    lines = path.read_text().splitlines()[function.lineno - 1 : function.end_lineno]
    return any("# " in line for line in lines)
