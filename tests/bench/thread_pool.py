"""The usual design: a worker thread and a transaction per request, and a connection pool."""

import os
import time

import anyio.to_thread
import orjson
from sqlalchemy import Connection, Engine, bindparam, create_engine, event, insert, select, update
from sqlalchemy.pool import QueuePool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.raw_claims import PRAGMAS, driver, events, prepare, tasks

_best = (
    select(tasks.c.id)
    .where(tasks.c.status == "TODO")
    .order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id)
    .limit(1)
    .scalar_subquery()
)
_CLAIM = (
    update(tasks)
    .where(tasks.c.id == _best)
    .values(status="IN_PROGRESS", holder=bindparam("holder"), expires_at=bindparam("expires"), fence=tasks.c.fence + 1)
    .returning(tasks.c.id, tasks.c.name, tasks.c.fence)
)
_EVENT = insert(events).returning(events.c.seq)


def _engine(path: str) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", module=driver, poolclass=QueuePool, pool_size=8, connect_args={"timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def _connected(connection, _record):  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _claim(agent: str) -> bytes:
    now = int(time.time() * 1000)
    with ENGINE.begin() as connection:
        row = connection.execute(_CLAIM, {"holder": agent, "expires": now + 900_000}).first()
        if row is None:
            return b'{"task":null}'
        data = orjson.dumps({"holder": agent, "fence": row.fence}).decode()
        written = {"type": "task.locked", "at": now, "task_id": row.id, "actor": agent, "data": data}
        seq = connection.execute(_EVENT, written).scalar_one()
    return orjson.dumps({"task": {"id": row.id, "name": row.name}, "fence": row.fence, "seq": seq})


async def _answer(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    return Response(await anyio.to_thread.run_sync(_claim, asked["agent_id"]), media_type="application/json")


async def _alive(_: Request) -> Response:
    return Response(b"{}", media_type="application/json")


prepare(os.environ["BENCH_DATABASE"], 40_000)
ENGINE = _engine(os.environ["BENCH_DATABASE"])
application = Starlette(routes=[Route("/", _alive), Route("/claim", _answer, methods=["POST"])])
