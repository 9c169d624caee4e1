"""A parameter of the wrong type is named in the error, over HTTP in both protocol versions."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mcp_listener import call, listening, wire
from tests.integration.mcp_product import product

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("protocol", ["2025", "2026"])
@pytest.mark.parametrize(
    ("method", "params", "parameter"),
    [
        ("tools/call", {"name": "list_tasks", "arguments": "{}"}, "arguments"),
        ("tools/call", {"name": "list_tasks", "arguments": []}, "arguments"),
        ("tools/call", {"arguments": {}}, "name"),
        ("prompts/get", {"name": "standup", "arguments": "{}"}, "arguments"),
        ("resources/read", {}, "uri"),
    ],
)
async def test_a_parameter_of_the_wrong_type_is_named(
    tmp_path: Path, protocol: str, method: str, params: dict[str, Any], parameter: str
) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.initialize()
        post = bare.post if protocol == "2025" else bare.post_modern
        answer = await post({**call("list_tasks", 7), "method": method, "params": params})
        text = answer.text.partition("data: ")[2] or answer.text
        assert (
            f"INVALID_PARAMS: `params.{parameter}` {'is missing' if parameter in ('name', 'uri') else 'must be'}"
            in text
        )
        assert f'"parameter":"{parameter}"' in text.replace(" ", "")
