"""Operations on messages."""

from project_manager.domain.errors import MailboxFull, NotHeld, ProjectNotFound, TaskNotFound
from project_manager.operations.definition import WRITES, Operation, Tool
from project_manager.schemas import messages as schemas
from project_manager.schemas.views import Page
from project_manager.services import messages

MESSAGES = (
    Operation(
        "send_message",
        messages.send,
        schemas.SendMessage,
        schemas.SentMessageView,
        http="POST /api/messages",
        acts_as="agent_id",
        tool=Tool("Message", WRITES, "to_agent to_task kind body agent_id", required=("agent_id",)),
        raises=(TaskNotFound, ProjectNotFound, NotHeld, MailboxFull),
        status=201,
        authorize=messages.check_stop,
    ),
    Operation(
        "list_messages",
        messages.list_messages,
        schemas.ListMessages,
        Page[schemas.MessageView],
        http="GET /api/messages",
        acts_as="agent_id",
    ),
    Operation(
        "acknowledge_messages",
        messages.acknowledge,
        schemas.AcknowledgeMessages,
        schemas.AcknowledgedView,
        http="POST /api/messages/acknowledge",
        acts_as="agent_id",
        while_stopped=True,
    ),
)
