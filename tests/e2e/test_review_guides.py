"""The commands of the guides to reviews and questions, run as written."""

import json
import re
from itertools import chain

from tests.e2e import test_readme
from tests.e2e.conftest import Start

DOCS = test_readme.CHECKOUT / "docs"


def blocks(page: str) -> list[str]:
    """Return the shell blocks of a page."""
    return re.findall(r"```bash\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def answers(lines: list[str]) -> list[dict[str, object]]:
    """Return the JSON objects that a block prints."""
    return [json.loads(line) for line in "\n".join(lines).replace("}{", "}\n{").splitlines()]


def test_work_is_submitted_sent_back_and_approved(start_service: Start) -> None:
    service = start_service()
    found = [answers(test_readme.run_block(service, block)) for block in blocks("reviewing.md")]
    statuses = [answer["status"] for answer in chain(*found) if "status" in answer]
    assert statuses == ["TODO", "REVIEW", "TODO", "REVIEW", "DONE"]
    claimed = found[-1][0]
    assert claimed["review"] == {"reviewer": "bob", "body": "A refused card says nothing.", "round": 1}
    with service.http() as http:
        assert http.get("/api/tasks/1").json()["completed_by"] == "review"


def test_a_question_is_asked_and_answered(start_service: Start) -> None:
    service = start_service()
    asked, answered = [answers(test_readme.run_block(service, block)) for block in blocks("questions.md")]
    assert asked[-1]["status"] == "BLOCKED"
    listed, done, claimed = answered
    assert [question["text"] for question in listed["items"]] == ["Which colour?"]  # type: ignore[attr-defined]
    assert done["status"] == "TODO"
    assert claimed["answer"] == {
        "question": "Which colour?",
        "answer": "green",
        "answered_by": "local",
        "via": "unknown",
    }
