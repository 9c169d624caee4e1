"""Serve the tools of `mcp_listener` on standard input and output. The stdio tests run it as a process."""

import sys

import anyio

from project_manager.mcp.transport import stdio
from tests.e2e.mcp_listener import Work, tool_server


async def main() -> None:
    work = Work()
    if "--finish" in sys.argv:
        work.finish.set()
    await stdio.serve(tool_server(work))


if __name__ == "__main__":
    anyio.run(main)
