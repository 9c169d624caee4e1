"""Every operation executes or refuses any JSON, and never fails with an internal error."""

import json
import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import anyio
import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from pydantic import AliasChoices

from project_manager.catalogue import OPERATIONS
from project_manager.domain.actors import LOCAL
from project_manager.domain.errors import Invalid, ProjectManagerError
from project_manager.operations.definition import Operation
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.web.errors import response_of, status_of
from tests.operations_client import TIMEOUT, Json, MovableClock, OperationsClient
from tests.postgres_server import PostgresServer
from tests.stored_rows import Address, settings_of

pytestmark = pytest.mark.slow

EXAMPLES = 15
ODD: dict[str, list[Any]] = {
    "integer": [
        *(0, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 1.0, 1.5, -0.0, 1e300, 5e-324, True),
        *("0", "-1", "--5", "+5", "5-", "1e3", "0x1", "\u00b2", "\u0667", "9" * 25, "9" * 5000, str(2**63), " 1 "),
    ],
    "array": [
        *(
            "",
            "[",
            "[]",
            "[1",
            "[[1]]",
            '["a", 1, null, {}]',
            "[" * 99_999,
            ",",
            "a,a",
            "1,1",
            "\u00b2",
            "null",
            1,
            True,
        ),
        *(["1", "#1"], ["x", "x"], [1, 1, "1"], ["\u00b2"], ["#"], [""], [None], [[]], [{}], ["9" * 30], ["\ud800"]),
    ],
    "string": [
        *(
            "",
            " ",
            "null",
            "'",
            '"',
            "*",
            "NEAR(",
            "^a",
            "a:b",
            '" OR "',
            "%",
            "_",
            "\\",
            "a\tb",
            "two\nlines",
            "#",
            "##1",
        ),
        *("\x00", "\x7f", "\x85", "\u200b", "\u202e", "\ufeff", "\ud800", "\U0001f642", "e\u0301", "x" * 201),
        *("9999-12-31T23:59:60Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z"),
        *("\u20ac" * 65_000, "#ASSUME", "#ASSUME:", "#: x", "eyJ", "e30", "W10", "WzFd"),
        *("&a [*a]", "a: &a [*a]", "? [a]", "!!python/object:os.system x", "- " * 3000, "[" * 9999, "projects: ["),
        "projects:\n- name: P\n  tasks: [{name: a, depends_on: [a]}]",
    ],
    "boolean": ["yes", "perhaps", "", 2, 1.0, "\u00b9"],
    "object": ["{", "{}", '{"a":' * 9999, '{"a": NaN}', {"": {}}, {"\ud800": 1}, {"a": 10**30}, {"a": "x" * 9000}],
    "null": [None],
}
PLAUSIBLE_TEXTS = ["x", "iron", "P", "Garden", "ann", "1", "#1", "a/b", "\u00fc\u2603"]
PLAUSIBLE_TIMES = ["2026-11-23T10:00:00Z", "2030-01-01T00:00:00+02:00"]
PLANS = ["projects: [{name: Garden, tasks: [{name: Rake, priority: 0}, {name: Mow, depends_on: [Rake]}]}]", "{}"]
NEEDED: Json = {
    "name": "x",
    "title": "x",
    "body": "x",
    "status": "TODO",
    "role": "agent",
    "agent_id": "ann",
    "tasks": [{"name": "x"}],
    "text": "#ASSUME: dry",
    "document": PLANS[0],
    "action_type": "used",
    "verdict": "rejected",
    "reason": "x",
    "content": "x",
}
ALSO_NEEDED: dict[str, Json] = {
    "update_task": {"priority": 0},
    "edit_tasks": {"ids": [1], "changes": {"priority": 0}},
    "remember": {"title": "x", "project_id": 1},
    "review_task": {"verdict": "approved", "digest": "0" * 64},
    "save_view": {"name": "x", "query": "view=table"},
    "send_message": {"to_agent": "ann", "kind": "note"},
    "start_pause": {"scope": "all"},
    "upsert_knowledge": {"title": "x", "content": "x", "project_id": 1},
}
PYTHONS_WORDS = re.compile(r"invalid literal|recursion|codec|NoneType|object at 0x|\bError\b|Traceback|<class")
BY_FIELD = {
    "agent_id": st.just("ann"),
    "document": st.sampled_from(PLANS),
    "wait_seconds": st.just(0),
    "assumptions": st.lists(st.sampled_from(["#ASSUME: dry", "#SUGGEST: wet"]), max_size=2),
    "text": st.sampled_from(["#ASSUME: dry", "#RISK_HIGH: deep"]),
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def plausible(schema: Json, definitions: Json) -> st.SearchStrategy[Any]:
    """Return values that a caller with knowledge of the schema would send."""
    if "$ref" in schema:
        return plausible(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in schema:
        return st.one_of([plausible(one, definitions) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kind = kinds(schema)[0]
    if kind == "array":
        inner = st.lists(plausible(schema["items"], definitions), min_size=schema.get("minItems", 0), max_size=4)
        return inner | inner.map(json.dumps)
    if kind == "object" and "properties" in schema:
        return payloads(schema, definitions, {name: name for name in schema["properties"]})
    low = schema.get("minimum", 0)
    flat: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(low, min(schema.get("maximum", 4), low + 2)),
        "boolean": st.booleans(),
        "object": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
        "null": st.none(),
        "string": st.sampled_from(PLAUSIBLE_TIMES if schema.get("format") == "date-time" else PLAUSIBLE_TEXTS),
    }
    return flat[kind]


def kinds(schema: Json) -> list[str]:
    """Return the types of the values, as named in the schema."""
    if "anyOf" in schema:
        return [kind for one in schema["anyOf"] for kind in kinds(one)]
    kind = schema.get("type", "object")
    return [kind] if isinstance(kind, str) else list(kind)


@st.composite
def payloads(draw: st.DrawFn, schema: Json, definitions: Json, names: dict[str, str]) -> Json:
    """Draw a plausible object. In half of them one field, under any of its names, has a value of any type.

    `names` maps each name to its field.
    """
    values = {name: BY_FIELD.get(name, plausible(one, definitions)) for name, one in schema["properties"].items()}
    required = schema.get("required", ())
    raw = draw(
        st.fixed_dictionaries(
            {name: value for name, value in values.items() if name in required},
            optional={name: value for name, value in values.items() if name not in required},
        )
    )
    return with_odd(raw, draw(invalid_inputs(schema, names)), names) if draw(st.booleans()) else raw


def invalid_inputs(schema: Json, names: dict[str, str]) -> st.SearchStrategy[tuple[str, Any]]:
    """Draw the name of a field, also of an unknown one, and any value for it."""
    usual = [st.tuples(st.just(name), st.sampled_from(values)) for name, values in odd_values(schema, names).items()]
    return st.one_of(usual) | st.tuples(st.sampled_from([*names.keys() - {"wait_seconds"}, "statuss"]), anything)


def odd_values(schema: Json, names: dict[str, str]) -> dict[str, list[Any]]:
    properties = schema["properties"]
    kinds_of = {name: kinds(properties[field]) for name, field in names.items() if field != "wait_seconds"}
    return {name: [value for kind in found for value in ODD[kind]] for name, found in kinds_of.items()}


def with_odd(raw: Json, odd: tuple[str, Any], names: dict[str, str]) -> Json:
    """Return the payload with that value instead of the value of its field under any name."""
    name, value = odd
    return {key: kept for key, kept in raw.items() if key != names.get(name)} | {name: value}


def described(operation: Operation) -> tuple[Json, dict[str, str]]:
    """Return the schema of the command, and the field of each name."""
    names = {}
    for name, field in operation.command.model_fields.items():
        names[name] = name
        if isinstance(field.validation_alias, AliasChoices):
            names |= {choice: name for choice in field.validation_alias.choices if isinstance(choice, str)}
    return {"properties": {}, **operation.command.model_json_schema(by_alias=False)}, names


@pytest.fixture(scope="module")
def template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with a few rows of each kind, so that small ids exist."""
    path = Path(shutil.copyfile(template, tmp_path_factory.mktemp("furnished") / "pm.db"))
    anyio.run(create_samples, path)
    return path


@pytest.fixture(scope="module")
def postgresql_template(postgresql_server: PostgresServer, postgresql_template: str) -> str:
    """Return the name of a database with the same rows."""
    name = postgresql_server.create_database(postgresql_template)
    anyio.run(create_samples, postgresql_server.url(name))
    return name


async def create_samples(address: Address) -> None:
    clock = MovableClock()
    async with open_runtime(settings_of(address), clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        for name in ("Garden", "House"):
            project = await api.call("create_project", name=name)
            epic = await api.call("create_epic", name="Spring", project_id=project["id"])
            dug = await api.create_task("Dig", project_name=name, epic_id=epic["id"], labels=["iron"], external_key="x")
            await api.create_task("Sow", project_name=name, depends_on=[dug["id"]], conflicts_with=[dug["id"]])
        await api.claim(1, "ann")
        await api.call("add_task_log", task_id=1, agent_id="ann", body="half way")
        await api.call("add_ra_tag", task_id=1, agent_id="ann", text="#ASSUME: dry")
        for title in ("Soil", "Seed"):
            await api.call("upsert_knowledge", title=title, content="x", project_id=1, category="x")
        await api.call("create_token", name="x", role="operator")


def drawn(operation: Operation) -> list[Json]:
    """Return a reproducible sample of payloads."""
    schema, names = described(operation)
    found: list[Json] = []

    @seed(zlib.crc32(operation.name.encode()))
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(payloads(schema, schema.get("$defs", {}), names))
    def draw(raw: Json) -> None:
        found.append(raw)

    draw()
    return found


def each_invalid_input(operation: Operation) -> list[Json]:
    """Yield each odd value in each field, together with the required fields, also for objects in lists."""
    schema, names = described(operation)
    return one_by_one(schema, schema.get("$defs", {}), names, ALSO_NEEDED.get(operation.name, {}))


def one_by_one(schema: Json, definitions: Json, names: dict[str, str], more: Json) -> list[Json]:
    needed = {name: NEEDED.get(name, 1) for name in schema.get("required", ())} | more
    odd = odd_values(schema, names)
    found = [needed] + [with_odd(needed, (name, value), names) for name in odd for value in odd[name]]
    for name, one in schema["properties"].items():
        inner = definitions.get(one.get("items", {}).get("$ref", "").rpartition("/")[2], {})
        fields = {field: field for field in inner.get("properties", ())}
        found += [needed | {name: [value]} for value in (one_by_one(inner, definitions, fields, {}) if fields else ())]
    return found


each_operation = pytest.mark.parametrize(
    "operation", [row for row in OPERATIONS if row.http], ids=lambda operation: operation.name
)


@pytest.mark.slow
@pytest.mark.promise("request:bad-input")
@each_operation
async def test_any_input_is_executed_or_refused(runtime: Runtime, operation: Operation) -> None:
    plausible = each_invalid_input(operation)[:1] if operation.name in ALSO_NEEDED else []
    await check(runtime, operation, [*drawn(operation), *plausible])


@pytest.mark.promise("request:bad-input")
@each_operation
async def test_each_edge_case_is_executed_or_refused(runtime: Runtime, operation: Operation) -> None:
    plain, *odd = each_invalid_input(operation)
    assert not isinstance(await refused(runtime, operation, plain, Caller(LOCAL, "rest", "test")), Invalid), plain
    await check(runtime, operation, odd or [plain])


async def check(runtime: Runtime, operation: Operation, requests: list[Json]) -> None:
    outcomes = set()
    for number, raw in enumerate(requests):
        key = f"key {number % 7}" if number % 5 == 0 else None
        with anyio.fail_after(TIMEOUT):
            refusal = await refused(runtime, operation, raw, Caller(LOCAL, "rest", "test", key))
        if refusal is not None:
            assert 400 <= status_of(refusal) < 500, raw
            message = orjson.loads(response_of(refusal, "test").body)["message"]
            assert message, raw
            assert not PYTHONS_WORDS.search(message), raw
        outcomes.add(None if refusal is None else refusal.code)
    assert "invalid" in outcomes or not operation.command.model_fields
    assert outcomes - {"invalid", "unknown_argument"}, "no request got as far as the use case"


async def refused(runtime: Runtime, operation: Operation, raw: Json, caller: Caller) -> ProjectManagerError | None:
    """Return the error, or None when the operation was executed and its result is JSON."""
    try:
        if operation.streamed:
            async with runtime.stream(operation, raw, caller) as (_, fetch):
                while await fetch():
                    pass
        else:
            assert orjson.loads((await runtime.run(operation, raw, caller)).body)
    except ProjectManagerError as error:
        return error
    return None
