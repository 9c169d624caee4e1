"""Operations on the logs of tasks."""

from project_manager.domain.errors import AgentNotFound, AttestationRequired, TaskNotFound
from project_manager.operations.definition import LEASE_ERRORS, WRITES, Operation, Profile, Tool
from project_manager.schemas.logs import AddTaskLog, ListAgentLogs, ListTaskLogs, LogLinesView, LogView, ReadLogLines
from project_manager.schemas.views import Page
from project_manager.services import logs

LOGS = (
    Operation(
        "add_task_log",
        logs.add_log,
        AddTaskLog,
        LogView,
        http="POST /api/tasks/{task_id}/log",
        acts_as="agent_id",
        while_stopped=True,
        tool=Tool(
            "Add a log entry",
            WRITES,
            "task_id body kind agent_id fence criterion command exit_code",
            profile=Profile.LOOP,
            lists_ack=True,
            zero_counts=dict.fromkeys(("criterion", "exit_code"), ("kind", "evidence")),
        ),
        raises=(*LEASE_ERRORS, AttestationRequired),
        status=201,
    ),
    Operation(
        "list_task_logs",
        logs.list_logs,
        ListTaskLogs,
        Page[LogView],
        http="GET /api/tasks/{task_id}/log",
        raises=(TaskNotFound,),
    ),
    Operation("read_log_lines", logs.read_lines, ReadLogLines, LogLinesView, http="GET /api/logs"),
    Operation(
        "list_agent_logs",
        logs.list_agent_logs,
        ListAgentLogs,
        Page[LogView],
        http="GET /api/agents/{agent_id}/logs",
        raises=(AgentNotFound,),
    ),
)
