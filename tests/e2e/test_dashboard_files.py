"""The files of the dashboard: vendored files are unmodified, and no file needs a loose content security policy."""

import hashlib
import json
import re

import httpx
import pytest
from starlette.applications import Starlette

from project_manager.web import dashboard

FOUND = dashboard.tree()
OURS = {path: body.decode() for path, body in FOUND.files.items() if not path.startswith("vendor/")}
SCRIPTS = {path: text for path, text in OURS.items() if path.endswith(".js")}
VENDORED = json.loads(FOUND.files["vendor/vendored.json"])
RAW_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function"
)


@pytest.fixture
async def client() -> httpx.AsyncClient:
    application = Starlette(routes=dashboard.routes())
    application.router.redirect_slashes = False
    transport = httpx.ASGITransport(app=application)
    return httpx.AsyncClient(transport=transport, base_url="http://dashboard")


@pytest.mark.parametrize("entry", VENDORED["files"], ids=lambda entry: entry["file"])
def test_a_vendored_file_matches_its_recorded_checksum(entry: dict[str, str]) -> None:
    assert hashlib.sha256(FOUND.files[f"vendor/{entry['file']}"]).hexdigest() == entry["sha256"]
    assert entry["version"] == VENDORED["packages"][entry["package"]]["version"]


def test_every_vendored_file_is_listed_with_its_licence() -> None:
    present = {path.removeprefix("vendor/") for path in FOUND.files if path.startswith("vendor/")}
    listed = {entry["file"] for entry in VENDORED["files"]}
    assert present == listed | {"vendored.json"}
    assert {f"{package}.LICENSE.txt" for package in VENDORED["packages"]} <= listed
    assert {package for names in VENDORED["bundled"].values() for package in names} <= set(VENDORED["packages"])


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_module_is_short_and_builds_no_markup_from_text(path: str) -> None:
    assert len(SCRIPTS[path].splitlines()) < 300
    assert RAW_MARKUP.findall(SCRIPTS[path]) == []
    assert re.findall(r"\sstyle=", SCRIPTS[path]) == []
    assert re.findall(r"""["'`](?:https?:)?//""", SCRIPTS[path]) == []


def test_every_module_is_reachable_and_preloaded_once() -> None:
    reached = dashboard.modules(FOUND)
    assert sorted(set(reached)) == sorted(reached)
    own = {path for path in FOUND.files if path.endswith(".js")}
    assert own - set(reached) == {dashboard.THEME_SCRIPT, "vendor/markdown-it.js"}
    on_demand = {target for text in SCRIPTS.values() for target in re.findall(r"""\bimport\(["'](\..+?)["']\)""", text)}
    assert on_demand == {"../vendor/markdown-it.js"}


async def test_the_shell_has_a_strict_policy_and_no_inline_code(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "trusted-types 'none'"):
        assert rule in policy.split("; ")
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", answer.text) == []
    assert answer.headers["cache-control"] == "no-cache"


async def test_every_file_that_the_shell_references_exists_and_is_cached_without_expiry(
    client: httpx.AsyncClient,
) -> None:
    shell = (await client.get("/")).text
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', shell)
    assert len(named) > 20
    for address in named:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_matching_etag_is_answered_without_a_body(client: httpx.AsyncClient) -> None:
    first = await client.get("/")
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_file_of_another_release_is_served_but_not_cached(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/0123456789abcdef/main.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["../dashboard.py", "%2e%2e/dashboard.py", "core", "core/", "main.js/", "nothing.js"])
async def test_only_the_packaged_files_are_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/static/{FOUND.name}/{path}")
    assert answer.status_code == 404
