"""Questions of agents to the users of their clients: MCP elicitation over every transport and protocol version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.types import ElicitResult, ErrorData

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.mcp import elicitation
from project_manager.runtime.calls import Caller
from tests.e2e.mcp_listener import HANDSHAKE, MODES, TIMEOUT, Listener, call, data_of, listening, soon, wire
from tests.e2e.mcp_process import stdio_command
from tests.integration.mcp_product import Agent, Product, product

Json = dict[str, Any]

OPTIONS = ["green", "red"]
HTTP = ("/mcp", "legacy /sse")
TRANSPORTS = (*HTTP, "stdio")
every_client = pytest.mark.parametrize(("transport", "mode"), [(name, mode) for name in TRANSPORTS for mode in MODES])
every_http = pytest.mark.parametrize("transport", HTTP)


class User:
    """The user of a client, who gives each question the next response."""

    def __init__(self, *responses: Any) -> None:
        self.responses = list(responses)
        self.questions: list[Any] = []

    async def __call__(self, _context: Any, params: Any) -> Any:
        self.questions.append(params)
        return self.responses.pop(0)


class Silent:
    """A user who never answers."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.ended = anyio.Event()

    async def __call__(self, _context: Any, _params: Any) -> Any:
        self.asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.set()


def accepts(**content: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=content)


class Desk:
    """The service, and clients on each of its transports."""

    def __init__(self, running: Product, listener: Listener, database: Path) -> None:
        self.running = running
        self.listener = listener
        self._database = database

    @asynccontextmanager
    async def agent(self, transport: str, mode: Any, user: Any) -> AsyncIterator[Agent]:
        target: Any = self.listener.url + transport
        if transport == "legacy /sse":
            target = sse_client(f"{self.listener.url}/sse")
        elif transport == "stdio":
            command, *arguments = stdio_command(self._database)
            target = StdioServerParameters(command=command, args=arguments)
        async with Client(target, mode=mode, elicitation_callback=user) as client:
            yield Agent(client)

    async def run(self, operation: str, **given: Any) -> Any:
        result = await self.running.runtime.run(BY_NAME[operation], given, Caller(LOCAL, "rest", "test"))
        return orjson.loads(result.body)

    async def claimed(self, agent_id: str = "ann") -> Json:
        """Return the arguments of a question about a new task that the agent holds."""
        task_id = (await self.run("create_task", name="paint", project_name="house"))["id"]
        lock = (await self.run("acquire_task_lock", task_id=task_id, agent_id=agent_id))["lock"]
        return {"task_id": task_id, "agent_id": agent_id, "fence": lock["fence"], "text": "Which colour?"}

    async def questions(self) -> list[Any]:
        return list((await self.run("list_questions"))["items"])

    async def assert_held(self, asked: Json) -> None:
        """Assert that the agent still has its lease and that nothing was asked."""
        task = (await self.run("get_task_details", task_id=asked["task_id"]))["task"]
        held = {"holder": asked["agent_id"], "fence": asked["fence"]}
        assert task["status"] == "IN_PROGRESS"
        assert {name: task["lock"][name] for name in held} == held
        assert await self.questions() == []


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with product(tmp_path) as running, listening(running.server) as listener:
        yield Desk(running, listener, tmp_path / "pm.db")


async def assert_answered(desk: Desk, asked: Json, result: Json, text: str) -> None:
    assert (result["status"], result["question"]["answer"]) == ("IN_PROGRESS", text)
    (question,) = await desk.questions()
    assert (question["state"], question["answer"], question["via"]) == ("answered", text, "client")
    task = (await desk.run("get_task_details", task_id=asked["task_id"]))["task"]
    assert (task["lock"]["holder"], task["lock"]["fence"]) == ("ann", asked["fence"])


async def assert_blocked(desk: Desk, result: Json) -> None:
    assert result["status"] == "BLOCKED"
    (question,) = await desk.questions()
    assert (question["state"], question["answer"], question["via"]) == ("open", None, None)


@every_client
async def test_the_user_chooses_an_option_and_the_agent_keeps_its_lease(desk: Desk, transport: str, mode: str) -> None:
    user, asked = User(accepts(option="red")), await desk.claimed()
    async with desk.agent(transport, mode, user) as agent:
        result = await agent.ok("ask", options=OPTIONS, **asked)
    await assert_answered(desk, asked, result, "red")
    (form,) = user.questions
    assert form.message == f"Task {asked['task_id']}: Which colour?"
    assert form.requested_schema["properties"]["option"]["enum"] == OPTIONS
    assert {field["type"] for field in form.requested_schema["properties"].values()} == {"string"}


@every_client
async def test_the_user_writes_another_answer_than_the_options(desk: Desk, transport: str, mode: str) -> None:
    user, asked = User(accepts(text=" blue ")), await desk.claimed()
    async with desk.agent(transport, mode, user) as agent:
        result = await agent.ok("ask", **asked)
    await assert_answered(desk, asked, result, "blue")
    assert user.questions[0].requested_schema["required"] == ["text"]


async def test_an_option_with_a_comment_is_one_answer(desk: Desk) -> None:
    user, asked = User(accepts(option="red", text="but dark")), await desk.claimed()
    async with desk.agent("/mcp", "legacy", user) as agent:
        result = await agent.ok("ask", options=OPTIONS, **asked)
    await assert_answered(desk, asked, result, "red: but dark")


@every_client
async def test_a_declined_question_waits_for_a_person(desk: Desk, transport: str, mode: str) -> None:
    user, asked = User(ElicitResult(action="decline")), await desk.claimed()
    async with desk.agent(transport, mode, user) as agent:
        await assert_blocked(desk, await agent.ok("ask", options=OPTIONS, **asked))
    assert len(user.questions) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "response",
    [ElicitResult(action="cancel"), accepts(), accepts(text="  "), accepts(text="x" * 5000), accepts(text=7)],
)
async def test_a_question_without_a_usable_answer_waits_for_a_person(desk: Desk, mode: str, response: Any) -> None:
    asked = await desk.claimed()
    async with desk.agent("/mcp", mode, User(response)) as agent:
        await assert_blocked(desk, await agent.ok("ask", **asked))


@every_http
async def test_a_client_that_fails_to_ask_its_user_leaves_the_question_to_a_person(desk: Desk, transport: str) -> None:
    asked = await desk.claimed()
    async with desk.agent(transport, "legacy", User(ErrorData(code=-32000, message="no window"))) as agent:
        await assert_blocked(desk, await agent.ok("ask", **asked))


@every_client
async def test_a_client_without_the_capability_is_not_asked(desk: Desk, transport: str, mode: str) -> None:
    asked = await desk.claimed()
    async with desk.agent(transport, mode, None) as agent:
        await assert_blocked(desk, await agent.ok("ask", **asked))


@every_http
async def test_a_user_who_does_not_answer_in_time_leaves_the_question_to_a_person(
    desk: Desk, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elicitation.SECONDS == 60
    monkeypatch.setattr(elicitation, "SECONDS", 0.05)
    user, asked = Silent(), await desk.claimed()
    async with desk.agent(transport, "legacy", user) as agent:
        await assert_blocked(desk, await agent.ok("ask", **asked))
        await soon(user.ended)  # the client was told that the question ended


async def test_a_question_ends_before_a_short_lease(desk: Desk) -> None:
    asked = await desk.claimed()
    await desk.run("renew_task_lock", ttl_seconds=1, **{name: asked[name] for name in ("task_id", "agent_id", "fence")})
    async with desk.agent("/mcp", "legacy", Silent()) as agent:
        with anyio.fail_after(TIMEOUT):
            await assert_blocked(desk, await agent.ok("ask", **asked))


@pytest.mark.parametrize("transport", ["/mcp", "stdio"])
async def test_a_client_that_leaves_asks_nothing_and_its_lease_stays(desk: Desk, transport: str) -> None:
    user, asked = Silent(), await desk.claimed()
    with anyio.fail_after(TIMEOUT):
        async with desk.agent(transport, "legacy", user) as agent, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: agent.result("ask", **asked))
            await soon(user.asked)
            tasks.cancel_scope.cancel()
        await desk.running.server.calls.wait_until_none()
    await desk.assert_held(asked)


@every_http
async def test_a_lost_connection_asks_nothing_and_its_lease_stays(desk: Desk, transport: str) -> None:
    asked = await desk.claimed()
    can_ask = {"protocolVersion": HANDSHAKE, "capabilities": {"elicitation": {}}}
    greeting = {**can_ask, "clientInfo": {"name": "wire", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": greeting}
    async with wire(desk.listener) as bare:
        if transport == "/mcp":
            bare.session = (await bare.post(hello)).headers["mcp-session-id"]
            await bare.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
            sent = orjson.dumps(call("ask", **asked))
            async with bare.http.stream("POST", "/mcp", content=sent, headers=bare.headers) as stream:
                assert "elicitation/create" in await data_of(stream.aiter_lines())
        else:
            async with bare.http.stream("GET", "/sse") as stream:
                lines = stream.aiter_lines()
                endpoint = await data_of(lines)
                await bare.post(hello, path=endpoint)
                assert "protocolVersion" in await data_of(lines)
                await bare.post(call("ask", **asked), path=endpoint)
                assert "elicitation/create" in await data_of(lines)
        with anyio.fail_after(TIMEOUT):
            await desk.running.server.calls.wait_until_none()
        await desk.assert_held(asked)


@every_http
async def test_the_shutdown_ends_a_question_and_changes_nothing(desk: Desk, transport: str) -> None:
    user, asked, answers = Silent(), await desk.claimed(), list[str]()
    async with desk.agent(transport, "legacy", user) as agent, anyio.create_task_group() as tasks:

        async def ask() -> None:
            answers.append(await agent.fails("ask", **asked))

        tasks.start_soon(ask)
        await soon(user.asked)
        desk.listener.transport.drain()
    assert answers[0].startswith("SHUTTING_DOWN")
    await desk.assert_held(asked)


async def test_a_revoked_access_ends_a_question_and_changes_nothing(desk: Desk) -> None:
    user, asked, answers = Silent(), await desk.claimed(), list[str]()
    async with desk.agent("/mcp", "legacy", user) as agent, anyio.create_task_group() as tasks:

        async def ask() -> None:
            answers.append(await agent.fails("ask", **asked))

        tasks.start_soon(ask)
        await soon(user.asked)
        await desk.run("create_token", name="first", role="operator")  # from now on, every call needs a token
        with anyio.fail_after(TIMEOUT):
            await soon(user.ended)
    assert answers[0].startswith("UNAUTHORIZED")
    await desk.assert_held(asked)


@pytest.mark.parametrize("mode", MODES)
async def test_no_user_is_asked_if_the_question_cannot_be_recorded(desk: Desk, mode: str) -> None:
    user, asked = User(), await desk.claimed()
    async with desk.agent("/mcp", mode, user) as agent:
        stale = await agent.fails("ask", **{**asked, "fence": asked["fence"] + 1})
        other = await agent.fails("ask", **{**asked, "agent_id": "bob"})
        unclear = await agent.fails("ask", **{**asked, "text": " "})
    assert [text.split(":")[0] for text in (stale, other, unclear)] == ["STALE_FENCE", "LOCK_HELD", "INVALID"]
    assert user.questions == []
    await desk.assert_held(asked)


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_of_the_client_itself_is_recorded_without_a_question(desk: Desk, mode: str) -> None:
    user, asked = User(), await desk.claimed()
    async with desk.agent("/mcp", mode, user) as agent:
        result = await agent.ok("ask", client_answer="red", **asked)
    await assert_answered(desk, asked, result, "red")
    assert user.questions == []


@pytest.mark.parametrize("mode", MODES)
async def test_a_repeated_request_gets_the_first_answer_and_asks_no_user_again(desk: Desk, mode: str) -> None:
    user, asked = User(accepts(option="red"), accepts(option="green")), await desk.claimed()
    async with desk.agent("/mcp", mode, user) as agent:
        first = await agent.ok("ask", request_id="q1", options=OPTIONS, **asked)
        again = await agent.ok("ask", request_id="q1", options=OPTIONS, **asked)
        await assert_answered(desk, asked, again, "red")
        other = await agent.fails("ask", request_id="q1", options=OPTIONS, client_answer="red", **asked)
    assert again == first
    assert other.startswith("IDEMPOTENCY_MISMATCH")
    assert len(user.questions) == 1


async def test_a_request_that_is_repeated_while_the_user_thinks_gets_the_answer_that_came_first(desk: Desk) -> None:
    first_asked, answered = anyio.Event(), anyio.Event()
    questions: list[str] = []
    results: list[Json] = []

    async def user(_context: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        if len(questions) > 1:
            return accepts(text="red")
        first_asked.set()
        await soon(answered)
        return accepts(text="green")

    asked = await desk.claimed()
    async with desk.agent("/mcp", "legacy", user) as agent, anyio.create_task_group() as tasks:

        async def ask() -> None:
            results.append(await agent.ok("ask", request_id="q1", **asked))

        tasks.start_soon(ask)
        await soon(first_asked)
        await ask()
        answered.set()
    await assert_answered(desk, asked, results[0], "red")
    assert results[1] == results[0]


@pytest.mark.parametrize("mode", MODES)
async def test_a_declined_request_that_is_repeated_gets_the_first_response(desk: Desk, mode: str) -> None:
    user, asked = User(ElicitResult(action="decline")), await desk.claimed()
    async with desk.agent("/mcp", mode, user) as agent:
        first = await agent.ok("ask", request_id="q1", **asked)
        assert await agent.ok("ask", request_id="q1", **asked) == first
    await assert_blocked(desk, first)


@pytest.mark.parametrize("mode", MODES)
async def test_two_questions_of_one_client_get_their_own_answers(desk: Desk, mode: str) -> None:
    both = anyio.Event()
    waiting: list[str] = []
    results: dict[int, Json] = {}

    async def user(_context: Any, params: Any) -> ElicitResult:
        waiting.append(params.message)
        if len(waiting) == 2:
            both.set()
        await soon(both)  # no answer is sent before both questions were asked
        return accepts(text=params.message)

    first, second = await desk.claimed("ann"), await desk.claimed("bob")
    async with desk.agent("/mcp", mode, user) as agent, anyio.create_task_group() as tasks:

        async def ask(asked: Json) -> None:
            results[asked["task_id"]] = await agent.ok("ask", **asked)

        tasks.start_soon(ask, first)
        tasks.start_soon(ask, second)
    answers = {task_id: result["question"]["answer"] for task_id, result in results.items()}
    assert answers == {one["task_id"]: f"Task {one['task_id']}: Which colour?" for one in (first, second)}


async def test_other_calls_continue_while_a_user_thinks(desk: Desk) -> None:
    user, asked = Silent(), await desk.claimed()
    async with desk.agent("/mcp", "legacy", user) as agent, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: agent.result("ask", **asked))
        await soon(user.asked)
        with anyio.fail_after(TIMEOUT):
            held = {name: asked[name] for name in ("task_id", "agent_id", "fence")}
            await agent.ok("add_task_log", body="meanwhile", **held)
        tasks.cancel_scope.cancel()
