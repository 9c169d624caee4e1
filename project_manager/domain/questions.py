"""Questions of agents about their tasks, and the answers."""

from enum import StrEnum


class QuestionState(StrEnum):
    """State of a question. A question is closed when its task moves on without an answer."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class AnsweredVia(StrEnum):
    """Origin of an answer: a person, an agent, the client of the asker, or a caller without a token."""

    PERSON = "person"
    AGENT = "agent"
    CLIENT = "client"
    UNKNOWN = "unknown"
