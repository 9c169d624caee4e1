"""Functions and types of SQL that the databases spell differently. Statements use these, so that they run on both."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, LargeBinary, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

Number = BigInteger().with_variant(Integer(), "sqlite")
"""A number of 64 bits. SQLite numbers the rows of a table by a column of the type INTEGER only."""
OrderedText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte on a server with any locale, as SQLite does."""


class _Function(FunctionElement[Any]):
    """A function with its form in each database. `{0}` is its first argument, and `{all}` stands for all."""

    inherit_cache = True
    type: TypeEngine[Any] = Text()  # also for a condition: SQLAlchemy compares a Boolean of SQLite with 1
    sqlite: ClassVar[str]
    postgresql: ClassVar[str]


@compiles(_Function)
def _spell(function: _Function, compiler: SQLCompiler, **options: Any) -> str:
    form = function.postgresql if compiler.dialect.name == "postgresql" else function.sqlite
    # A subquery in a FROM clause depends on the tables before it, as elsewhere.
    options = options | {"asfrom": False, "from_linter": None}
    arguments = [compiler.process(argument, **options) for argument in function.clauses]
    return form.format(*arguments, all=", ".join(arguments))


class Substring(_Function):
    """A part of a text: the text, the position of its first character (from 1), and its maximum length."""

    sqlite = "substr({0}, {1}, {2})"
    postgresql = "substr({0}, CAST({1} AS INTEGER), CAST({2} AS INTEGER))"


class RowsOf(_Function):
    """Rows `id` with the numbers of a subquery, which may depend on the tables before it in the FROM clause.

    PostgreSQL reads the numbers from an array. SQLite cannot, so it reads the table of tasks, and `IsRowOf` selects the
    rows. With that condition, PostgreSQL could run the subquery again for each row of the table.
    """

    sqlite = "tasks"
    postgresql = "unnest(ARRAY {0})"


class IsRowOf(_Function):
    """Condition that selects the rows of `RowsOf`, from the number and the subquery. True on PostgreSQL."""

    sqlite = "{0} IN {1}"
    postgresql = "true"


class IsAmong(_Function):
    """Condition that an indexed number is in a JSON array of numbers.

    PostgreSQL looks up each number of an array. For a subquery, it expects 100 numbers. It would then rather read all
    rows of a table with fewer than about ten thousand, or the index from its beginning up to the last number.
    """

    sqlite = "{0} IN (SELECT value FROM json_each({1}))"
    postgresql = (
        "{0} = ANY (ARRAY (SELECT CAST(number AS BIGINT) FROM json_array_elements_text(CAST({1} AS JSON)) AS number))"
    )


class JsonElements(_Function):
    """The elements of a JSON array as rows with one column `value`."""

    sqlite = "json_each({0})"
    postgresql = "json_array_elements_text(CAST({0} AS JSON))"


class JsonMembers(_Function):
    """The members of a JSON object as rows with the columns `key` and `value`."""

    sqlite = "json_each({0})"
    postgresql = "json_each_text(CAST({0} AS JSON))"


class JsonItem(_Function):
    """The text at an index of a JSON array. The index is a literal."""

    sqlite = "json_extract({0}, '$[{1}]')"
    postgresql = "(CAST({0} AS JSON) ->> {1})"


class JsonMember(_Function):
    """The text of a member of a JSON object. The name is a literal without quotes."""

    sqlite = "json_extract({0}, '$.{1}')"
    postgresql = "(CAST({0} AS JSON) ->> '{1}')"


class JsonArray(_Function):
    """The arguments as a JSON array."""

    sqlite = "json_array({all})"
    postgresql = "json_build_array({all})"


class AsJson(_Function):
    """A JSON text as an element for JsonArray."""

    sqlite = "json({0})"
    postgresql = "CAST({0} AS JSON)"


class AsNumber(_Function):
    """A number that was read from JSON. In SQLite it is one already."""

    type = BigInteger()
    sqlite = "{0}"
    postgresql = "CAST({0} AS BIGINT)"


class GroupedIds(_Function):
    """The ids of a group as a JSON text, `[]` without any."""

    sqlite = "json_group_array({0})"
    postgresql = "CAST(coalesce(json_agg({0} ORDER BY {0}), '[]') AS TEXT)"


class GroupedIdsThat(_Function):
    """The ids of a group that meet the condition, the second argument, as a JSON text."""

    sqlite = "json_group_array({0}) FILTER (WHERE {1})"
    postgresql = "CAST(coalesce(json_agg({0} ORDER BY {0}) FILTER (WHERE {1}), '[]') AS TEXT)"


class GroupedArrays(_Function):
    """The JSON arrays of a group as a JSON text, `[]` without any. The second argument is a number to sort them by.

    SQLite reads them in the order of that number, and needs no sort.
    """

    sqlite = "json_group_array({0})"
    postgresql = "CAST(coalesce(json_agg({0} ORDER BY {1}), '[]') AS TEXT)"


class JoinedArrays(_Function):
    """The JSON arrays of a group as a JSON text in UTF-8, or NULL without any. SQLite does not parse them again."""

    type = LargeBinary()
    sqlite = "CAST('[' || group_concat({0}) || ']' AS BLOB)"
    postgresql = "convert_to('[' || string_agg(CAST({0} AS TEXT), ',') || ']', 'UTF8')"


_HAS_PARTS = (
    "NOT EXISTS (SELECT FROM json_array_elements_text(CAST({1} AS JSON) -> 'parts') AS part"
    " WHERE strpos({table}.texts, part) = 0)"
)
_HAS_WORDS = "{table}.words @@ CAST(CAST({1} AS JSON) ->> 'words' AS tsquery)"


class Matches(_Function):
    """Condition that a row of a search index, the first argument, matches the expression, the second one."""

    sqlite = "{0} MATCH {1}"
    postgresql = f"({_HAS_WORDS} AND {_HAS_PARTS})".replace("{table}", "{0}")


class HasPhrases(_Function):
    """Condition that a task, the first argument, has all phrases of the second one. Both come from `store/search.py`.

    It reads the texts of the task. For a few tasks, that takes less time than a read of all tasks with a common word.
    """

    # Two spaces between the texts keep a phrase within one of them.
    sqlite = (
        "EXISTS (SELECT NULL FROM tasks_fts_content WHERE id = {0} AND NOT EXISTS (SELECT NULL"
        " FROM json_each({1}) AS phrase WHERE instr(' ' || c0 || '  ' || c1 || '  ' || c2 || ' ', phrase.value) = 0))"
    )
    postgresql = (
        f"EXISTS (SELECT FROM tasks_fts AS found WHERE found.rowid = {{0}} AND {_HAS_WORDS} AND {_HAS_PARTS})"
    ).replace("{table}", "found")
