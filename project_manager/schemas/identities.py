"""The input of a connection: the agent and the project that it fixes."""

from project_manager.schemas import fields
from project_manager.schemas.commands import Command


class ConnectionScope(Command):
    agent_id: fields.AgentId | None = None
    project: fields.Name | None = None
