"""Errors of the API, as one tree. `service_errors.py` has the last three kinds.

`code` is the class name in snake_case. The first level of the tree, the kind, determines the HTTP status. Only
HeadersTooLarge (431) and RateLimited (429) have their own.

ProjectManagerError
├── Malformed            the request cannot be read           MalformedBody, MalformedCursor, MalformedHeader,
│                        MalformedRequest
├── Unauthorized         no valid token
├── Forbidden            authenticated, but not permitted     RoleRequired, AgentMismatch, HostNotAllowed,
│                        OriginNotAllowed, OwnReview, BoundTokenRequired, AttestationRequired,
│                        PersonRequired, OwnQuestion
├── NotFound             ProjectNotFound, EpicNotFound, TaskNotFound, TokenNotFound, AgentNotFound,
│                        KnowledgeNotFound, AssumptionNotFound, QuestionNotFound, PauseNotFound, RouteNotFound,
│                        ViewNotFound
├── MethodNotAllowed     the path exists, the method does not
├── Conflict             LockHeld, StaleFence, FenceRequired, LockRequired, NotHeld, NotReady, InvalidTransition,
│                        OpenSubtasks, ParentDone, DependencyCycle, NameTaken, ExternalKeyTaken, HasDependents,
│                        ProjectArchived, NotEmpty, OperatorTokenRequired, Paused, PolicyUnmet, NotInReview,
│                        StaleSubmission, AlreadyReviewed, LeaseForReview, QuestionOpen, QuestionClosed,
│                        PathsReserved, Stopped, MailboxFull, OfferRefused, PreviewOutdated, TooManyViews
├── PreconditionFailed   VersionMismatch, SelectionChanged
├── RequestTimeout       the request did not arrive in time
├── TooLarge             BodyTooLarge, HeadersTooLarge, ResponseTooLarge
├── Invalid              all field errors in one; UnknownArgument, IdempotencyMismatch, AgentRequired
├── Unavailable          QueueFull, DatabaseBusy, QueryTimeout, DatabaseUnavailable, DatabaseMoved,
│                        DatabaseDamaged, WriteUnconfirmed, ImportInProgress, ShuttingDown, RateLimited,
│                        ConnectionLimit, Overloaded
├── StorageFull
└── Internal             a defect of the server, logged with its traceback      OutcomeUnknown
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from project_manager.domain.limits import BODY_BYTES, FIELD_ERRORS, MEBIBYTE, PLAN_BYTES


class ProjectManagerError(Exception):
    """Base class of all errors. `hint` is the next step for the caller, `details` are values for programs."""

    code: ClassVar[str] = "project_manager_error"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "", **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.details = details
        self.messages: Sequence[Any] = ()  # messages to the agent that are delivered with this error
        self.suggest: Callable[[Any], None] | None = None
        """Function that adds a suggestion to this error. It is slow, so a reader connection runs it later."""

    def replace(self, other: "ProjectManagerError") -> None:
        """Replace message, hint and details by those of another error."""
        self.args = other.args
        self.message, self.hint, self.details = other.message, other.hint, other.details

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


class Malformed(ProjectManagerError):
    """The request cannot be parsed."""


class MalformedBody(Malformed):
    default_hint = "Send one JSON object, encoded as UTF-8."


class MalformedCursor(Malformed):
    default_hint = "Send next_cursor of the previous page unchanged with the same filters, or omit cursor."


class MalformedHeader(Malformed):
    """A header that the request needs cannot be parsed."""


class MalformedRequest(Malformed):
    default_hint = "Send HTTP/1.1 without TLS; lines end with CR LF."


class Unauthorized(ProjectManagerError):
    default_hint = "Send `Authorization: Bearer TOKEN`; operators create tokens with `project-manager token create`."


class Forbidden(ProjectManagerError):
    """The caller is authenticated, but not authorized for this operation."""


class RoleRequired(Forbidden):
    default_hint = "Use a token with that role."


class AgentMismatch(Forbidden):
    default_hint = "Omit agent_id, or send the agent id of the token."


class HostNotAllowed(Forbidden):
    default_hint = "Add the host to ALLOWED_HOSTS."


class OriginNotAllowed(Forbidden):
    default_hint = "Add the origin to CORS_ORIGINS."


class OwnReview(Forbidden):
    default_hint = "Wait for the review of another agent or a person, and claim other work."


class BoundTokenRequired(Forbidden):
    default_hint = "Create a token for this agent: `project-manager token create NAME --agent-id ID`."


class OwnQuestion(Forbidden):
    default_hint = "Wait for the answer of a person or another agent."


class PersonRequired(Forbidden):
    default_hint = (
        "Ask an operator to approve it: on the dashboard after a sign-in, or over REST with a token without an agent "
        "id."
    )


class AttestationRequired(Forbidden):
    default_hint = (
        "Omit `source`: evidence from an agent is `reported`. Only a token made with `project-manager token create "
        "NAME --attest` records observed or ci."
    )


class NotFound(ProjectManagerError):
    """The resource does not exist."""


class ProjectNotFound(NotFound):
    default_hint = "List the projects with list_projects (GET /api/projects)."


class EpicNotFound(NotFound):
    default_hint = "List the epics with list_epics (GET /api/epics)."


class TaskNotFound(NotFound):
    default_hint = "List the tasks with list_tasks (GET /api/tasks)."


class AgentNotFound(NotFound):
    default_hint = "List the agents with GET /api/agents."


class TokenNotFound(NotFound):
    default_hint = "List the tokens with `project-manager token list`."


class KnowledgeNotFound(NotFound):
    default_hint = "List knowledge with get_knowledge (GET /api/knowledge)."


class AssumptionNotFound(NotFound):
    default_hint = "List a task's assumptions with GET /api/tasks/{task_id}/assumptions."


class PauseNotFound(NotFound):
    default_hint = "List the active pauses with GET /api/pauses. A pause that has ended is not listed."


class ViewNotFound(NotFound):
    default_hint = "List the saved views with GET /api/views."


class QuestionNotFound(NotFound):
    default_hint = "List the questions with GET /api/questions."


class RouteNotFound(NotFound):
    default_hint = "The routes are listed at /docs and in /openapi.json."


class MethodNotAllowed(ProjectManagerError):
    default_hint = "The Allow header lists the methods of this path."


class Conflict(ProjectManagerError):
    """The current state does not allow the operation. The same request may succeed later."""


class LockHeld(Conflict):
    default_hint = "Claim another task with claim_next_task, or wait until the lock ends."


class StaleFence(Conflict):
    default_hint = (
        "Your lease has ended. If the task is free, claim it again with acquire_task_lock and send the new fence; "
        "otherwise claim another task."
    )


class FenceRequired(Conflict):
    default_hint = "Send the fence of the lease with every write."


class LockRequired(Conflict):
    default_hint = "Claim the task with acquire_task_lock, read it again, and send the new fence."


class NotHeld(Conflict):
    default_hint = "Claim the task first (acquire_task_lock)."


class NotReady(Conflict):
    default_hint = "Claim a ready task with claim_next_task."


class PathsReserved(Conflict):
    """A path that a task would reserve overlaps one that the lease of another task has reserved. Nothing changed."""

    default_hint = "Leave out these paths, or wait until the other lease ends and try again."


class InvalidTransition(Conflict):
    """The status table does not allow this transition."""


class OpenSubtasks(Conflict):
    default_hint = "Finish or cancel its subtasks first. To finish one, claim it with acquire_task_lock."


class ParentDone(Conflict):
    default_hint = "Reopen the parent first (reopen=true)."


class DependencyCycle(Conflict):
    default_hint = "Remove one of the dependencies in the cycle."


class NameTaken(Conflict):
    default_hint = "Choose another name, or update the existing one."


class ExternalKeyTaken(Conflict):
    default_hint = "external_key is unique per project: update the existing task, or choose another key."


class HasDependents(Conflict):
    default_hint = "Remove the dependency from those tasks first, or set this task to CANCELLED."


class ProjectArchived(Conflict):
    default_hint = 'Unarchive the project first: PATCH {"archived": false}.'


class NotEmpty(Conflict):
    default_hint = "Send force=true to delete it with its contents."


class PolicyUnmet(Conflict):
    default_hint = "See `missing`. An operator can set DONE with force=true, which is recorded."


class NotInReview(Conflict):
    default_hint = "Only a task in REVIEW can be reviewed. Submit work with update_task_status, status REVIEW."


class StaleSubmission(Conflict):
    default_hint = "Read the task again and review the present submission. If there is none, its author submits again."


class AlreadyReviewed(Conflict):
    default_hint = "The first verdict counts. Claim other work."


class LeaseForReview(Conflict):
    default_hint = "Give a verdict with review_task, or end the lease with release_task_lock."


class QuestionOpen(Conflict):
    default_hint = "Wait for its answer, or add what is missing with add_task_log, kind comment."


class QuestionClosed(Conflict):
    default_hint = "The first answer counts. Read the task again; add what is missing with add_task_log, kind comment."


class OperatorTokenRequired(Conflict):
    default_hint = (
        "Create a token with the role operator first; `project-manager token create` on the server's machine can "
        "create any token."
    )


class OfferRefused(Conflict):
    """A task cannot be offered to the agent now."""

    default_hint = "Offer a task in TODO without a lease, to an agent that has made a call in the last 2 minutes."


class Paused(Conflict):
    default_hint = "Do not claim again before the pause ends. claim_next_task with wait_seconds waits for other tasks."


class Stopped(Conflict):
    default_hint = "Stop working, and acknowledge the message of the stop. Log entries and releases are accepted."


class TooManyViews(Conflict):
    default_hint = "Delete views that are no longer used: DELETE /api/views/{view_id}."


class MailboxFull(Conflict):
    default_hint = "Wait until the addressee acknowledges messages, or until they expire."


class PreviewOutdated(Conflict):
    default_hint = "Repeat the dry run, and send its `digest` as `expected`."


class PreconditionFailed(ProjectManagerError):
    """The resource changed since the caller read it."""


class VersionMismatch(PreconditionFailed):
    default_hint = "Read it again, then retry with the new version."


class SelectionChanged(PreconditionFailed):
    """A filter matches another number of tasks than the caller expects."""

    default_hint = "Count the tasks again with dry_run=true, then send the new number as `expected`."


class RequestTimeout(ProjectManagerError):
    default_hint = "Send the request without long pauses."


class TooLarge(ProjectManagerError):
    """The request or the response exceeds a limit of the service."""


class BodyTooLarge(TooLarge):
    default_hint = f"The limit is {BODY_BYTES // MEBIBYTE} MiB, and {PLAN_BYTES // MEBIBYTE} MiB for POST /api/import."


class HeadersTooLarge(TooLarge):
    default_hint = "Request line and headers: at most 64 KiB and 128 lines."


class ResponseTooLarge(TooLarge):
    default_hint = "Request less: one project (project_id), or pages (GET /api/tasks)."


class Invalid(ProjectManagerError):
    """The request can be parsed, but some values are invalid.

    `details["errors"]` has one entry for each field error, with field, message and hint.
    """

    @classmethod
    def of(cls, field: str, message: str, hint: str = "") -> Self:
        """Return the error of one field."""
        return cls.of_all([(field, message, hint or cls.default_hint)])

    @classmethod
    def of_all(cls, found: Sequence[tuple[str, str, str]]) -> Self:
        """Return the error of several fields, each as (field, message, hint). Its message lists the first ones only."""
        first = found[:FIELD_ERRORS]
        return cls(
            "; ".join(message for _, message, _ in first),
            hint=" ".join(dict.fromkeys(hint for _, _, hint in first)),
            errors=[{"field": field, "message": message, "hint": hint} for field, message, hint in found],
        )

    def within(self, place: str) -> Self:
        """Return the error with fields inside of `place`, such as `tasks.2` for the third element of `tasks`."""
        found: Any = self.details["errors"]
        errors = [{**error, "field": f"{place}.{error['field']}"} for error in found]
        return type(self)(f"{place}: {self.message}", hint=self.hint, errors=errors)


class UnknownArgument(Invalid):
    """The operation has no such argument."""


class IdempotencyMismatch(Invalid):
    default_hint = "Use a new key for a new request."


class AgentRequired(Invalid):
    default_hint = (
        "Choose one name that no other agent uses, and send it as agent_id with every call. A claim with agent_id=auto "
        "issues one."
    )
