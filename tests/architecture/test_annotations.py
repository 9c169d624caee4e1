import ast

from tests.architecture.tree import files, name_of, nodes


def hidden(owner: ast.ClassDef) -> set[str]:
    """Return the fields of a class whose names stand for something else in the annotations of the same class."""
    annotated = [node for node in owner.body if isinstance(node, ast.AnnAssign)]
    fields = {node.target.id for node in annotated if isinstance(node.target, ast.Name) and node.value is not None}
    used = {name.id for node in annotated for name in ast.walk(node.annotation) if isinstance(name, ast.Name)}
    return fields & used


def test_a_field_hides_no_name_from_the_annotations_of_its_class() -> None:
    """From Python 3.14 on, annotations are evaluated late, and the names of the class go before those of the module."""
    classes = [
        (f"{name_of(path)}: {node.name}", hidden(node))
        for path in files("project_manager/*.py")
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
    ]
    assert [(name, fields) for name, fields in classes if fields] == []
