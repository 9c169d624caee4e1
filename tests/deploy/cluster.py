"""The stack of compose.postgres.yaml with its two database servers."""

from __future__ import annotations

import json

from tests.deploy.stack import Container, Stack, wait_until

SERVERS = ("postgres1", "postgres2")


class Cluster(Stack):
    """The stack with its database servers."""

    def down(self) -> None:
        """Remove everything without a clean shutdown of the servers."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")

    def member(self, role: str) -> str:
        """Return the name of the server in this role of Patroni, or "" if there is none.

        The API of a server knows the roles of both, and takes less CPU time than `patronictl list`.
        """
        for name in SERVERS:
            ask = ("curl", "--fail", "--silent", "--max-time", "5", "http://127.0.0.1:8008/cluster")
            listed = self.compose("exec", "-T", name, *ask, check=False)
            members = json.loads(listed)["members"] if listed.startswith("{") else []
            found = [member["name"] for member in members if (member["role"], member["state"]) == (role, "running")]
            if found:
                return str(found[0])
        return ""

    def server(self, name: str) -> Container:
        return self.containers(name)[0]

    def wait_until_synchronous(self) -> None:
        wait_until("a standby has all acknowledged commits", lambda: self.member("sync_standby"), 60)

    def make_primary(self, name: str) -> None:
        """Let this server be the primary, and the other one its synchronous standby."""
        self.wait_until_synchronous()
        if self.member("leader") != name:
            self.compose("exec", "-T", name, "patronictl", "switchover", "--force")
            wait_until(f"{name} is the primary", lambda: self.member("leader") == name, 30)
            self.wait_until_synchronous()

    def sql(self, statement: str) -> str:
        """Return the output of a statement on the primary, as superuser."""
        words = ("psql", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "project_manager", "-c", statement)
        return self.compose("exec", "-T", self.member("leader"), *words)

    def states_of_application(self, statements: list[str]) -> list[str]:
        """Return the SQLSTATE of the error of each statement with the service's role, or "" without an error."""
        program = (
            "import os, psycopg; url = open(os.environ['DATABASE_URL_FILE']).read().strip()\n"
            "with psycopg.connect(url, target_session_attrs='read-write', autocommit=True) as link:\n"
            f"  for statement in {statements!r}:\n"
            "    try: link.execute(statement)\n"
            "    except psycopg.Error as error: print(error.sqlstate)\n"
            "    else: print()"
        )
        return self.instances[0].execute("python", "-c", program).split("\n")
