"""Operations on agents."""

from project_manager.domain.errors import AgentNotFound, EpicNotFound, ProjectNotFound
from project_manager.operations.definition import READS, Operation, Profile, Tool
from project_manager.schemas.agents import AgentView, ContextView, GetAgent, GetContext, ListAgents
from project_manager.schemas.views import Page
from project_manager.services import agents

AGENTS = (
    Operation("list_agents", agents.list_agents, ListAgents, Page[AgentView], http="GET /api/agents"),
    Operation("get_agent", agents.get, GetAgent, AgentView, http="GET /api/agents/{agent_id}", raises=(AgentNotFound,)),
    Operation(
        "get_context",
        agents.get_context,
        GetContext,
        ContextView,
        http="GET /api/context",
        acts_as="agent_id",
        delivers_messages=True,
        tool=Tool(
            "Get context",
            READS,
            "agent_id project_id project_name epic_name budget_tokens",
            profile=Profile.LOOP,
            required=("agent_id",),
            omitted_in_loop="project_id budget_tokens",
        ),
        raises=(ProjectNotFound, EpicNotFound),
    ),
)
