"""The plan format: the keys of a document, a project, an epic and a task."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field

from project_manager.domain import limits
from project_manager.domain.evidence import Source
from project_manager.domain.logs import LogKind
from project_manager.domain.names import INBOX
from project_manager.domain.reviews import ReviewVerdict
from project_manager.domain.statuses import EpicStatus, Status
from project_manager.plans.knowledge_reader import COMPOSED_REFERENCE, REFERENCE_CHARACTERS, Assumptions, Author
from project_manager.schemas import fields
from project_manager.schemas.commands import Command
from project_manager.schemas.evidence import NewEvidence
from project_manager.schemas.policies import PolicyFields
from project_manager.schemas.tasks import PlainFields


def _as_list(value: object) -> object:
    """Accept one reference without a list. The text is not split, because names can contain commas."""
    return [value] if isinstance(value, str) else value


def _normalized_reference(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


Reference = Annotated[
    str, COMPOSED_REFERENCE, AfterValidator(_normalized_reference), Field(max_length=REFERENCE_CHARACTERS)
]
References = Annotated[list[Reference], fields.max_items(limits.LINKS), BeforeValidator(_as_list)]


class PlanEvidence(NewEvidence):
    """The structured fields of evidence."""

    source: Source = Source.REPORTED

    def details(self) -> str:
        """Return the details of the log entry. Imported evidence belongs to no work that a policy judges."""
        known = {name: value for name, value in self.model_dump(mode="json").items() if value is not None}
        return json.dumps({**known, "fence": 0, "imported": True}, ensure_ascii=False)


class PlanLog(Command):
    """An entry of a task log."""

    author: Author
    kind: LogKind
    at: fields.Instant
    body: fields.Text
    evidence: PlanEvidence | None = None


class PlanSubmission(Command):
    """A submission with its review. An import records it as history, so it approves nothing."""

    round: Annotated[fields.Integer, Field(ge=1, le=1_000_000)]
    author: Author
    summary: fields.Text = ""
    branch: fields.Branch | None = None
    commit: fields.Commit | None = None
    digest: fields.Digest
    at: fields.Instant
    verdict: ReviewVerdict | None = None
    reviewer: Author | None = None
    reviewer_kind: Literal["person", "agent", "unknown"] | None = None
    body: fields.Text | None = None
    reviewed_at: fields.Instant | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns of the submission, except for its task."""
        row = self.model_dump(mode="json", exclude={"at", "commit"})
        return {**row, "commit_id": self.commit, "created_at": self.at, "fence": 0, "evidence": "[]"}


class PlanTask(PlainFields):
    """A task. References are names or external keys."""

    status: fields.TaskStatus = Status.TODO
    parent: Reference | None = None
    depends_on: References = Field(default_factory=list, validation_alias=AliasChoices("depends_on", "dependencies"))
    conflicts_with: References = Field(default_factory=list)
    attempts: Annotated[fields.Integer, Field(ge=0, le=1_000_000)] = 0
    created_by: Author | None = None
    created_at: fields.Instant | None = None
    completed_at: fields.Instant | None = None
    log: list[PlanLog] = Field(default_factory=list)
    submissions: list[PlanSubmission] = Field(default_factory=list)
    assumptions: Assumptions


class PlanStandaloneTask(PlanTask):
    """A task without an epic."""

    project: fields.Name = INBOX


TASK_DEFAULTS = {
    name: field.get_default(call_default_factory=True)
    for name, field in PlanTask.model_fields.items()
    if not field.is_required()
}


class PlanEpic(Command):
    """An epic."""

    name: fields.Name
    description: fields.Text = ""
    status: fields.StatusOfEpic = EpicStatus.ACTIVE
    position: Annotated[fields.Integer, Field(ge=0, le=1_000_000)] | None = None
    tasks: list[object] = Field(default_factory=list)


class PlanProject(Command):
    """A project. `tasks` are its tasks without an epic."""

    name: fields.Name
    description: fields.Text = ""
    archived: fields.Flag = False
    policy: PolicyFields | None = None
    epics: list[object] = Field(default_factory=list)
    tasks: list[object] = Field(default_factory=list)
    knowledge: list[object] = Field(default_factory=list)


class PlanDocument(Command):
    """The root of a document."""

    projects: list[object] = Field(default_factory=list)
    standalone_tasks: list[object] = Field(default_factory=list)
