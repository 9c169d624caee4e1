"""Searches of PostgreSQL find the same tasks as those of SQLite, for random texts and queries."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from project_manager.runtime.open import open_runtime
from tests.operations_client import MovableClock, OperationsClient
from tests.stored_rows import settings_of

pytestmark = pytest.mark.slow

SEED = 20_261_129
TASKS, QUERIES = 150, 400
LONG = "x" * 3000
"""A word that is too long for PostgreSQL."""
WORDS = [
    *("fence", "fences", "fen", "Café", "cafe\u0301", "STRASSE", "straße", "naïve", "v1.2.3", "foo-bar", "foo", "bar"),
    *("don't", "snake_case", "支付", "付功能", "实现支付功能", "テスト", "自動化テスト", "ระบบชำระ", "지불기능"),
    *("ﬁne", "½"),
    *("!!!", "'", '"', "\\", "a\\b'c", "&", "|", "a:*", "()", "<->", "null", "🚀", "e\u0301\u0302", "İstanbul", LONG),
]


@pytest.fixture
async def clients(database_file: Path, postgresql_url: str) -> AsyncIterator[list[OperationsClient]]:
    clock = MovableClock()
    async with AsyncExitStack() as stack:
        yield [
            OperationsClient(await stack.enter_async_context(open_runtime(settings_of(address), clock=clock)), clock)
            for address in (database_file, postgresql_url)
        ]


async def test_both_databases_find_the_same_tasks(clients: list[OperationsClient]) -> None:
    chance = random.Random(SEED)
    texts = [
        {
            "name": " ".join(chance.choices(WORDS[:-1], k=chance.randint(1, 6))),
            "description": " ".join(chance.choices(WORDS, k=chance.randint(0, 12))),
        }
        for _ in range(TASKS)
    ]
    texts.append({"name": "many words", "description": "支付 " * 4000 + "at the end of them"})
    for client in clients:
        await client.call("create_tasks", tasks=texts)
    queries = [query(chance) for _ in range(QUERIES)]
    matching = 0
    for text in [*queries, "付 at", "end-of", "付功 the", LONG[:500]]:
        of_sqlite, of_server = [await found(client, text) for client in clients]
        assert of_sqlite == of_server, text
        matching += bool(of_sqlite)
    assert matching > QUERIES / 4


def query(chance: random.Random) -> str:
    """Return words, parts of words, and words that are joined to a phrase."""
    parts = []
    for _ in range(chance.randint(1, 3)):
        word = chance.choice(WORDS)[:200]
        start = chance.randint(0, max(0, len(word) - 1))
        parts.append(chance.choice([word, word[start:], word[: start + 1]]))
    return chance.choice([" ", "-", ""]).join(parts)


async def found(client: OperationsClient, text: str) -> list[int]:
    page = await client.call("list_tasks", q=text, limit=500)
    return [row["id"] for row in page["items"]]
