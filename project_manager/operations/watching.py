"""The board, events, agents, and what an agent needs to go on."""

from project_manager.domain.errors import (
    AgentNotFound,
    AnswerTooLarge,
    EpicNotFound,
    ProjectNotFound,
)
from project_manager.operations.definition import READS, Operation, Tool
from project_manager.schemas.agents import AgentView, ContextView, GetAgent, GetContext, ListAgents
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.events import EventsView, ListEvents
from project_manager.schemas.views import Page
from project_manager.services import (
    agents,
    board,
    events,
)

WATCHING = (
    Operation(
        "get_board_state",
        board.state,
        GetBoardState,
        board.BoardView,
        http="GET /api/board/state",
        snapshot=True,
        errors=(ProjectNotFound, AnswerTooLarge),
    ),
    Operation(
        "wait_for_events",
        events.list_events,
        ListEvents,
        EventsView,
        http="GET /api/events",
        tool=Tool(
            "Wait for events",
            READS,
            ("since", "agent_id", "types", "project_id", "wait_seconds", "limit"),
            defaults={"limit": 20},
        ),
    ),
    Operation(
        "list_agents",
        agents.list_agents,
        ListAgents,
        Page[AgentView],
        http="GET /api/agents",
    ),
    Operation(
        "get_agent",
        agents.get,
        GetAgent,
        AgentView,
        http="GET /api/agents/{agent_id}",
        errors=(AgentNotFound,),
    ),
    Operation(
        "get_context",
        agents.get_context,
        GetContext,
        ContextView,
        http="GET /api/context",
        tool=Tool(
            "Get back to work",
            READS,
            ("agent_id", "project_id", "project_name", "epic_id", "epic_name", "budget_tokens"),
            needs_agent=True,
        ),
        errors=(ProjectNotFound, EpicNotFound),
    ),
)
