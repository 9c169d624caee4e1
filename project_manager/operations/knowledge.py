"""Operations on knowledge."""

from project_manager.domain.errors import EpicNotFound, KnowledgeNotFound, ProjectNotFound, TaskNotFound
from project_manager.operations.definition import READS, WRITES, Operation, Profile, Tool
from project_manager.schemas import knowledge as schemas
from project_manager.schemas.views import Page
from project_manager.services import knowledge

KNOWLEDGE = (
    Operation(
        "get_knowledge",
        knowledge.search,
        schemas.GetKnowledge,
        Page[schemas.KnowledgeView],
        http="GET /api/knowledge",
        tool=Tool(
            "Find knowledge",
            READS,
            "project_id epic_id q category tags knowledge_id limit cursor budget_tokens",
            profile=Profile.ALL,
            defaults={"limit": 20, "budget_tokens": 4000},
        ),
        raises=(ProjectNotFound, EpicNotFound, KnowledgeNotFound),
        aliases=("GET /api/knowledge/project/{project_id}", "GET /api/knowledge/project/{project_id}/epic/{epic_id}"),
    ),
    Operation(
        "upsert_knowledge",
        knowledge.upsert,
        schemas.UpsertKnowledge,
        schemas.KnowledgeSavedView,
        http="PUT /api/knowledge",
        acts_as="agent_id",
        tool=Tool(
            "Save knowledge",
            WRITES,
            (
                "title content knowledge_id project_id epic_id task_id parent_id category tags priority active "
                "metadata change_reason version agent_id request_id"
            ),
            profile=Profile.ALL,
            clearable={
                "category": None,
                "tags": [],
                "metadata": {},
                "epic_id": None,
                "task_id": None,
                "parent_id": None,
            },
        ),
        raises=(KnowledgeNotFound, ProjectNotFound, EpicNotFound, TaskNotFound),
        aliases=("POST /api/knowledge", "PUT /api/knowledge/{knowledge_id}", "PATCH /api/knowledge/{knowledge_id}"),
    ),
    Operation(
        "remember",
        knowledge.remember,
        schemas.Remember,
        schemas.KnowledgeSavedView,
        http="POST /api/knowledge/remember",
        acts_as="agent_id",
        tool=Tool("Remember", WRITES, "title content task_id agent_id"),
        raises=(ProjectNotFound, TaskNotFound),
    ),
    Operation(
        "get_instructions",
        knowledge.get_instructions,
        schemas.GetInstructions,
        schemas.InstructionsView,
        http="GET /api/instructions",
        tool=Tool("Get instructions", READS, "project_id epic_id", profile=Profile.ALL),
        raises=(ProjectNotFound, EpicNotFound),
    ),
    Operation(
        "get_knowledge_item",
        knowledge.get,
        schemas.GetKnowledgeItem,
        schemas.KnowledgeView,
        http="GET /api/knowledge/{knowledge_id}",
        raises=(KnowledgeNotFound,),
    ),
    Operation(
        "retire_knowledge",
        knowledge.retire,
        schemas.RetireKnowledge,
        schemas.KnowledgeSavedView,
        http="DELETE /api/knowledge/{knowledge_id}",
        raises=(KnowledgeNotFound,),
    ),
    Operation(
        "list_knowledge_versions",
        knowledge.list_versions,
        schemas.ListKnowledgeVersions,
        Page[schemas.KnowledgeVersionView],
        http="GET /api/knowledge/{knowledge_id}/versions",
        raises=(KnowledgeNotFound,),
    ),
    Operation(
        "append_knowledge_log",
        knowledge.append_log,
        schemas.AppendKnowledgeLog,
        schemas.KnowledgeLoggedView,
        http="POST /api/knowledge/{knowledge_id}/logs",
        acts_as="agent_id",
        tool=Tool(
            "Log use of knowledge",
            WRITES,
            "knowledge_id action_type change_reason metadata agent_id request_id",
            profile=Profile.ALL,
        ),
        raises=(KnowledgeNotFound,),
        status=201,
    ),
    Operation(
        "list_knowledge_logs",
        knowledge.list_logs,
        schemas.ListKnowledgeLogs,
        Page[schemas.KnowledgeLogView],
        http="GET /api/knowledge/{knowledge_id}/logs",
        raises=(KnowledgeNotFound,),
    ),
)
